//! Plain clients: hyper's connections over a socket, and the socket itself.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) type H1 = http1::SendRequest<Empty<Bytes>>;
pub(crate) type H2 = http2::SendRequest<Empty<Bytes>>;

/// A socket to the server.
pub(crate) async fn dial(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("the server listens")
}

/// A TLS connection to the server as `localhost`.
pub(crate) async fn dial_tls(addr: SocketAddr, config: &ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.clone()))
        .connect(name, dial(addr).await)
        .await
}

/// An HTTP/1 connection; dropping the sender closes it.
pub(crate) async fn h1(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> H1 {
    let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// An HTTP/2 connection; dropping the sender closes it.
pub(crate) async fn h2(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> H2 {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://localhost{path}");
    Request::get(uri)
        .header("host", "localhost")
        .body(Empty::new())
        .unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
