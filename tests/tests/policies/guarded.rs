//! Calls that retry, with a budget, past a breaker, by a rate and within a limit, as a service's own client would make them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use httputil::policy::breaker::{Breaker, Open, Verdict};
use httputil::policy::budget::Budget;
use httputil::policy::endpoint::{Came, Endpoints, Standing};
use httputil::policy::hosts::Hosts;
use httputil::policy::limit::{Limit, Shed};
use httputil::policy::rate::Rate;
use httputil::policy::retry::{Ended, Retry};
use httputil::{BoxError, BreakerState, settings};
use httputil_tests::gate::Gate;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use tower::{Service, ServiceExt as _, service_fn};

use crate::bare::{Asked, ask, get};

/// What a service keeps for one host.
struct Guards {
    retry: Retry,
    budget: Budget,
    breaker: Arc<Breaker>,
}

/// How a guarded call ended.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answered(StatusCode),
    Refused(Open),
    Failed,
}

impl Guards {
    fn new(budget: Budget) -> Guards {
        let mut retry = settings::Retry::default();
        (retry.backoff_base, retry.backoff_max) = (Duration::from_millis(1), Duration::from_millis(1));
        Guards {
            retry: Retry::new(&retry).unwrap(),
            budget,
            breaker: Breaker::new(settings::Breaker::default()),
        }
    }

    /// Attempt by attempt, in the order in which a client's own requests go.
    async fn call<S>(&self, service: &mut S, url: &str) -> Outcome
    where
        S: Service<Asked, Response = http::Response<Incoming>, Error = BoxError>,
    {
        let is_repeatable = self.retry.is_repeatable(&Method::GET, &HeaderMap::new());
        self.budget.deposit();
        let mut attempts = 1;
        loop {
            let permit = match self.breaker.permit() {
                Ok(permit) => permit,
                Err(open) => return Outcome::Refused(open),
            };
            let answer = within(PATIENCE, async { service.ready().await?.call(get(url)).await }).await;
            let verdict = answer
                .as_ref()
                .map_or(Verdict::Failure, |answer| Verdict::of_status(answer.status()));
            permit.ended(verdict);
            let ended = match &answer {
                Ok(answer) => Ended::Answered(answer.status(), answer.headers()),
                Err(_) => Ended::Failed { is_unprocessed: false },
            };
            let pause = self.retry.pause(attempts, is_repeatable, ended);
            match pause.filter(|_| self.budget.withdraw()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return answer.map_or(Outcome::Failed, |answer| Outcome::Answered(answer.status())),
            }
            attempts += 1;
        }
    }
}

/// A server that is broken for as long as the flag is up.
async fn breakable() -> (Server, Arc<AtomicBool>) {
    let is_broken = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&is_broken);
    let handler = move |_: Request<Incoming>| {
        let is_broken = flag.load(Ordering::Relaxed);
        let status = if is_broken {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        async move { handlers::status(status) }
    };
    (Server::builder().handler(handler).start().await, is_broken)
}

#[tokio::test]
async fn a_broken_server_is_asked_no_more_often_than_budget_and_breaker_allow_and_again_when_it_is_back() {
    let (server, is_broken) = breakable().await;
    // A retry for ten calls; the breaker looks at twenty attempts.
    let guards = Guards::new(Budget::new(0.1, 0));
    let mut service = service_fn(ask);
    let mut answered = 0;
    let open = loop {
        match guards.call(&mut service, &server.url("/")).await {
            Outcome::Answered(status) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
            Outcome::Refused(open) => break open,
            Outcome::Failed => panic!("it answers"),
        }
        answered += 1;
        assert!(answered < 100, "it is never refused");
    };
    assert_eq!((answered, server.requests()), (19, 20), "one of them was made again");
    assert!(
        !open.is_by_hand() && open.retry_after() <= Duration::from_secs(5),
        "{open}"
    );
    assert_eq!(guards.breaker.state(), BreakerState::Open);

    is_broken.store(false, Ordering::Relaxed);
    guards.breaker.reset();
    let back = guards.call(&mut service, &server.url("/")).await;
    assert_eq!(back, Outcome::Answered(StatusCode::OK));
}

#[tokio::test]
async fn a_call_whose_first_attempts_fail_is_made_again_and_succeeds() {
    let (server, is_broken) = breakable().await;
    let guards = Guards::new(Budget::new(0.0, 10));
    let mut failed = 0;
    // The server is repaired between the second attempt and the third.
    let mut service = service_fn(|request| {
        failed += 1;
        is_broken.store(failed < 3, Ordering::Relaxed);
        ask(request)
    });
    let came = guards.call(&mut service, &server.url("/")).await;
    assert_eq!((came, server.requests()), (Outcome::Answered(StatusCode::OK), 3));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_limit_lets_and_the_rest_wait_or_are_refused() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::echo))
        .start()
        .await;
    let limit = Limit::new(2, Some(1));
    let call = || {
        let (limit, url) = (Arc::clone(&limit), server.url("/"));
        tokio::spawn(async move {
            let _place = limit.admit(None).await?;
            ask(get(&url)).await.expect("it answers");
            Ok::<(), Shed>(())
        })
    };
    let running = [call(), call()];
    gate.arrived(2).await;
    assert!(limit.is_full());
    let (mut third, mut fourth) = (call(), call());
    // One of the two waits, the other is refused.
    let (refused, waits) = tokio::select! {
        refused = &mut third => (refused, fourth),
        refused = &mut fourth => (refused, third),
    };
    assert_eq!(refused.unwrap(), Err(Shed::QueueFull));
    assert_eq!(server.requests(), 2);
    gate.open();
    for each in running.into_iter().chain([waits]) {
        within(PATIENCE, each).await.unwrap().unwrap();
    }
    assert!(limit.is_at_rest() && server.requests() == 3);
}

#[tokio::test]
async fn a_burst_goes_by_the_rate_and_what_is_beyond_it_is_refused_where_nobody_may_wait() {
    let server = Server::builder().start().await;
    let rate = Rate::new(settings::Rate::per_hour(1), Some(3), Some(0));
    let mut came = Vec::new();
    for _ in 0..5 {
        came.push(match rate.admit(None).await {
            Ok(()) => Ok(ask(get(&server.url("/"))).await.unwrap().status()),
            Err(shed) => Err(shed),
        });
    }
    let (good, shed) = (Ok(StatusCode::OK), Err(Shed::QueueFull));
    assert_eq!(came, [good, good, good, shed, shed]);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn calls_leave_a_dead_replica_alone_by_what_each_has_learnt_of_it() {
    let (dead, living) = (ClosedPort::new(), Server::builder().start().await);
    let replicas = [dead.addr(), living.addr()];
    let endpoints = Endpoints::new(replicas.len());
    let mut settings = settings::Breaker::default();
    settings.min_requests = 2;
    let breakers: Hosts<SocketAddr, Arc<Breaker>> = Hosts::new(100);
    let breaker_of = |replica| breakers.get(&replica, || Breaker::new(settings), |breaker| breaker.is_at_rest());
    let mut failures = 0;
    for _ in 0..40 {
        let mut tried = Vec::new();
        loop {
            let mut visit = endpoints.choose(|index| {
                let mut standing = Standing::default();
                standing.is_tried = tried.contains(&index);
                standing.refuses_for = breaker_of(replicas[index]).retry_after();
                standing
            });
            let replica = replicas[visit.index()];
            tried.push(visit.index());
            let permit = breaker_of(replica).permit().expect("the other one is there");
            visit.begins();
            let is_good = within(PATIENCE, ask(get(&format!("http://{replica}/")))).await.is_ok();
            visit.ended(if is_good { Came::Answer } else { Came::Failure });
            permit.ended(if is_good { Verdict::Success } else { Verdict::Failure });
            if is_good {
                break;
            }
            failures += 1;
            assert!(tried.len() < 3, "the living one answers");
        }
    }
    assert_eq!(living.requests(), 40, "each call found it");
    // Chance may have named it seldom; once it failed, it is slower than the other for seconds.
    assert!(failures <= 2, "{failures}");
}
