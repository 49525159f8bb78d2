//! A client that knows nothing of policies: a connection of hyper's for each request.

use http::{Request, Response, Uri};
use http_body_util::Empty;
use httputil::BoxError;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(crate) type Asked = Request<Empty<bytes::Bytes>>;

/// A request that has all that HTTP/1 wants of it.
pub(crate) fn get(url: &str) -> Asked {
    let uri: Uri = url.parse().unwrap();
    let host = uri.authority().unwrap().as_str();
    let request = Request::get(uri.path_and_query().unwrap().as_str()).header("host", host);
    request.body(Empty::new()).unwrap()
}

/// Dials the request's host, and asks it.
pub(crate) async fn ask(request: Asked) -> Result<Response<Incoming>, BoxError> {
    let host = request.headers()["host"].to_str()?.to_owned();
    let stream = TcpStream::connect(host).await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender.send_request(request).await?)
}
