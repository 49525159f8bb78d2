//! A server that sends whoever asks it elsewhere, as a gateway does that wants somebody to log in.

use http::HeaderValue;
use http::header::LOCATION;
use httputil_tests::server::{Server, handlers};
use hyper::Request;
use hyper::body::Incoming;
use reqwest::StatusCode;

/// What sends a `POST` elsewhere as a `GET`.
pub(crate) const ELSEWHERE: [StatusCode; 3] = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER];

/// Sends everybody to a page of its own by this status; the page answers well, whatever it is asked.
pub(crate) async fn login_wall(status: StatusCode) -> Server {
    let handler = move |request: Request<Incoming>| {
        let mut reply = handlers::status(StatusCode::OK);
        if request.uri().path() != "/login" {
            *reply.status_mut() = status;
            reply.headers_mut().insert(LOCATION, HeaderValue::from_static("/login"));
        }
        std::future::ready(reply)
    };
    Server::builder().handler(handler).start().await
}
