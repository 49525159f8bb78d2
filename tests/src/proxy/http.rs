//! The proxy over HTTP/1: `CONNECT`, and requests that are passed on.

use std::convert::Infallible;
use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

use super::{Asked, Office};

type Reply = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

pub(super) async fn serve<S>(stream: S, number: usize, office: Office)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let office = office.clone();
        async move { Ok::<_, Infallible>(answer(request, number, office).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let connection = builder
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // How it ended is in the ledger.
    let _ = connection.with_upgrades().await;
}

async fn answer(request: Request<Incoming>, number: usize, office: Office) -> Reply {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    office.note(Asked {
        connection: number,
        what: format!("{} {}", request.method(), request.uri()),
        headers: headers.collect(),
    });
    if office
        .builder
        .hangs_over
        .as_deref()
        .is_some_and(|host| request.uri().host() == Some(host))
    {
        return std::future::pending().await;
    }
    if !is_let_in(&request, &office) {
        let mut refusal = status(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let basic = HeaderValue::from_static("Basic realm=\"proxy\"");
        refusal.headers_mut().insert(PROXY_AUTHENTICATE, basic);
        return refusal;
    }
    let done = if request.method() == Method::CONNECT {
        tunnel(request, office).await
    } else {
        pass_on(request, office).await
    };
    done.unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
}

fn is_let_in(request: &Request<Incoming>, office: &Office) -> bool {
    let Some((user, password)) = &office.builder.login else {
        return true;
    };
    let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    request
        .headers()
        .get(PROXY_AUTHORIZATION)
        .is_some_and(|value| value == wanted.as_str())
}

fn status(status: StatusCode) -> Reply {
    let mut reply = Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

async fn tunnel(request: Request<Incoming>, office: Office) -> io::Result<Reply> {
    let port = request.uri().port_u16().unwrap_or_default();
    let mut far = office.reach(port).await?;
    let tasks = office.tasks.clone();
    tasks.spawn(async move {
        let Ok(near) = hyper::upgrade::on(request).await else {
            return;
        };
        let _ = copy_bidirectional(&mut TokioIo::new(near), &mut far).await;
    });
    Ok(status(StatusCode::OK))
}

async fn pass_on(mut request: Request<Incoming>, office: Office) -> io::Result<Reply> {
    let uri = std::mem::take(request.uri_mut());
    let far = office.reach(uri.port_u16().unwrap_or(80)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(far))
        .await
        .map_err(io::Error::other)?;
    office.tasks.spawn(async move { drop(connection.await) });
    let path = uri.path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    request.headers_mut().remove(PROXY_AUTHORIZATION);
    // RFC 9112 §3.2.2: the target counts, whatever `Host` says.
    let authority = uri
        .authority()
        .map(|authority| HeaderValue::try_from(authority.as_str()));
    if let Some(Ok(host)) = authority {
        request.headers_mut().insert(HOST, host);
    }
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(response.map(BodyExt::boxed_unsync))
}
