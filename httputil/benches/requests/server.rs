//! The server of the bench: a small answer over plain HTTP/1, HTTP/1 over TLS, and HTTP/2 over TLS.
//!
//! HTTP/1 is answered by as little code as will do. On a machine of two cores a server that costs as much as a client hides
//! the difference between clients: all of them wait for it.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) const BODY: &[u8] = b"a small answer, as most are";

/// Serves until its standard input ends. Prints a line for each URL, and the path of its CA last.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = std::env::temp_dir().join(format!("httputil-bench-{}.pem", std::process::id()));
        std::fs::write(&ca, certified.cert.pem()).unwrap();
        let tls = |protocol: &[u8]| {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
            let mut config =
                rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_no_client_auth()
                    .with_single_cert(vec![certified.cert.der().clone()], key)
                    .unwrap();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsAcceptor::from(Arc::new(config))
        };
        listen("h1", "http", None).await;
        listen("h1+tls", "https", Some(tls(b"http/1.1"))).await;
        listen("h2+tls", "https", Some(tls(b"h2"))).await;
        println!("ca {}", ca.display());
        let mut input = tokio::io::stdin();
        let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
    });
}

async fn listen(name: &str, scheme: &str, tls: Option<TlsAcceptor>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{name} {scheme}://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => answer(stream, false).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        answer(stream, is_h2).await;
                    }
                }
            });
        }
    });
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, is_h2: bool) {
    if !is_h2 {
        return answer_h1(stream).await;
    }
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(BODY))))
    });
    // A client that goes away is no fault of the server's.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Answers each head that ends, in requests without a body.
async fn answer_h1(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let answer = [
        format!(
            "HTTP/1.1 200 OK\r\ndate: Wed, 25 Nov 2026 12:00:00 GMT\r\ncontent-length: {}\r\n\r\n",
            BODY.len()
        )
        .as_bytes(),
        BODY,
    ]
    .concat();
    let (mut buffer, mut filled) = ([0; 4096], 0);
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        } else if filled == buffer.len() {
            panic!("a request of more than {filled} bytes");
        }
    }
}
