//! One connection of the well-behaved server: the handshake, the protocol, and the orders it obeys.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;

use super::{ClientCertificate, ConnectionNumber, Handler, Observed, Reply};
use crate::ledger::Ledger;
use crate::tasks::Tasks;

/// What all connections of a server have in common.
pub(super) struct Plan {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) h2: bool,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) handler: Handler,
    pub(super) tasks: Tasks,
}

/// What a test tells the open connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    CloseIdle,
    GoAway,
    Drain,
}

struct Here {
    ledger: Ledger,
    number: usize,
    h2: bool,
    client: Option<CertificateDer<'static>>,
}

impl Here {
    fn obeys(&self, order: Order) -> bool {
        match order {
            // Asked in the connection's own task: no request can begin between the question and the close.
            Order::CloseIdle => self.ledger.is_idle(self.number),
            Order::GoAway => self.h2,
            Order::Drain => true,
        }
    }
}

pub(super) async fn serve(io: Observed, plan: Arc<Plan>, orders: broadcast::Receiver<Order>) {
    let mut here = Here {
        ledger: io.entry().ledger().clone(),
        number: io.entry().number(),
        h2: plan.h2,
        client: None,
    };
    let Some(tls) = plan.tls.clone() else {
        return speak(io, &plan, here, orders).await;
    };
    match TlsAcceptor::from(tls).accept(io).await {
        Ok(stream) => {
            let (io, tls) = stream.get_ref();
            io.entry().ledger().shook_hands(here.number, tls);
            here.h2 = tls.alpn_protocol() == Some(b"h2");
            here.client = tls.peer_certificates().and_then(|chain| chain.first()).cloned();
            speak(stream, &plan, here, orders).await;
        }
        Err(error) => here.ledger.handshake_failed(&error),
    }
}

async fn speak<S>(stream: S, plan: &Arc<Plan>, here: Here, orders: broadcast::Receiver<Order>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (ledger, number, handler) = (here.ledger.clone(), here.number, plan.handler.clone());
    let client = here.client.clone().map(ClientCertificate);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(client) = client.clone() {
            request.extensions_mut().insert(client);
        }
        answer(request, handler.clone(), ledger.clone(), number)
    });
    // No timers are given to hyper: this server never hangs up by itself.
    if here.h2 {
        let mut builder = http2::Builder::new(plan.tasks.clone());
        if let Some(n) = plan.max_concurrent_streams {
            builder.max_concurrent_streams(n);
        }
        run(builder.serve_connection(TokioIo::new(stream), service), here, orders).await;
    } else {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        run(connection, here, orders).await;
    }
}

async fn answer(
    mut request: Request<Incoming>,
    handler: Handler,
    ledger: Ledger,
    number: usize,
) -> Result<Reply, Infallible> {
    let in_flight = ledger.request(number);
    request.extensions_mut().insert(ConnectionNumber(number));
    let reply = handler(request).await;
    Ok(reply.map(|body| body.counted(in_flight)))
}

async fn run(connection: impl GracefulConnection, here: Here, mut orders: broadcast::Receiver<Order>) {
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // How it ended is in the ledger; a client that breaks off is no fault of this server.
            _ = connection.as_mut() => break,
            order = next(&mut orders) => {
                if here.obeys(order) {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// The next order; none comes any more when the server is gone.
async fn next(orders: &mut broadcast::Receiver<Order>) -> Order {
    loop {
        match orders.recv().await {
            Ok(order) => return order,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => pending().await,
        }
    }
}
