//! Tokens that an authorization server gives: fetched once for all, renewed, and never told to anybody else.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use httputil::settings::{ClientAuth, OAuth2, ProxyChoice, Token};
use httputil::{Client, ClientConfig, Config, Kind, Phase, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Builder, Server};
use httputil_tests::tls::ServerTls;
use httputil_tests::{PATIENCE, within};

use crate::common::{Door, Place, assert_at_rest, headers};

/// What an authorization server says to the next who ask.
#[derive(Clone, Debug)]
struct Says {
    status: u16,
    body: String,
}

/// An authorization server: gives tokens `t1`, `t2`, … unless told otherwise, and remembers who asked.
struct Issuer {
    server: Server,
    asked: Arc<Mutex<Vec<Echoed>>>,
    life: Arc<Mutex<String>>,
    says: Arc<Mutex<Option<Says>>>,
    gate: Arc<Mutex<Option<Gate>>>,
}

impl Issuer {
    async fn start() -> Issuer {
        Issuer::start_as(Server::builder()).await
    }

    async fn start_as(builder: Builder) -> Issuer {
        let (asked, given) = (Arc::<Mutex<Vec<Echoed>>>::default(), Arc::new(AtomicUsize::new(0)));
        let life = Arc::new(Mutex::new("3600".to_owned()));
        let (says, gate) = (
            Arc::<Mutex<Option<Says>>>::default(),
            Arc::<Mutex<Option<Gate>>>::default(),
        );
        let state = (
            Arc::clone(&asked),
            Arc::clone(&life),
            Arc::clone(&says),
            Arc::clone(&gate),
        );
        let handler = move |request: Request<hyper::body::Incoming>| {
            let (asked, life, says, gate) = state.clone();
            let given = Arc::clone(&given);
            async move {
                let echo = handlers::echo(request).await.into_body().collect().await.unwrap();
                asked
                    .lock()
                    .unwrap()
                    .push(serde_json::from_slice(&echo.to_bytes()).unwrap());
                let gate = gate.lock().unwrap().clone();
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                let says = says.lock().unwrap().clone().unwrap_or_else(|| {
                    let number = given.fetch_add(1, Ordering::SeqCst) + 1;
                    let life = life.lock().unwrap().clone();
                    let body =
                        format!("{{\"access_token\":\"t{number}\",\"token_type\":\"bearer\",\"expires_in\":{life}}}");
                    Says { status: 200, body }
                });
                let mut response = Response::new(Full::from(says.body));
                *response.status_mut() = StatusCode::from_u16(says.status).unwrap();
                response
                    .headers_mut()
                    .insert("location", HeaderValue::from_static("/elsewhere"));
                response
            }
        };
        Issuer {
            server: builder.handler(handler).start().await,
            asked,
            life,
            says,
            gate,
        }
    }

    fn says(&self, status: u16, body: &str) {
        let body = body.to_owned();
        *self.says.lock().unwrap() = Some(Says { status, body });
    }

    fn recovers(&self) {
        *self.says.lock().unwrap() = None;
    }

    fn lives(&self, seconds: &str) {
        seconds.clone_into(&mut self.life.lock().unwrap());
    }

    /// Holds the next answers back.
    fn holds(&self) -> Gate {
        let gate = Gate::new();
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    fn asked(&self) -> Vec<Echoed> {
        self.asked.lock().unwrap().clone()
    }

    fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn oauth2(&self) -> OAuth2 {
        OAuth2::new(self.server.url("/token?tenant=canary"), "an id", "secret/canary+")
    }
}

fn config(place: &Place, oauth2: OAuth2) -> ClientConfig {
    ClientConfig::default().base_url(place.url("")).oauth2(oauth2)
}

async fn told(client: &Client, url: &str) -> Option<String> {
    let landed = Door::Builder.get(client, url).await.unwrap();
    landed.echoed().header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn a_token_is_fetched_once_and_told_to_the_own_origins_only() {
    let (issuer, place, other) = (Issuer::start().await, Place::start().await, Place::start().await);
    place.sends("/away", 307, other.url("/there"));
    let client = Client::new(config(&place, issuer.oauth2().scope("read").scope("write"))).unwrap();
    assert_eq!(issuer.times(), 0, "nobody needs one yet");
    // Where no token goes, none is fetched.
    assert_eq!(told(&client, &other.url("/")).await, None);
    assert_eq!(told_own(&client).await.as_deref(), Some("Mine 1"));
    assert_eq!(issuer.times(), 0);
    for door in Door::BOTH {
        let landed = door.get(&client, "/").await.unwrap();
        assert_eq!(landed.echoed().header("authorization"), Some("Bearer t1"));
    }
    assert_eq!(told(&client, "/away").await, None);
    assert_eq!(issuer.times(), 1);
    let asked = issuer.asked().remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/token?tenant=canary")
    );
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    // `an+id:secret%2Fcanary%2B`
    assert_eq!(
        asked.header("authorization"),
        Some("Basic YW4raWQ6c2VjcmV0JTJGY2FuYXJ5JTJC")
    );
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read+write");
    assert!(other.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert_at_rest(&client).await;
    let stats = client.stats();
    assert_eq!(stats.leases, 1, "the fetch's is back");
    assert_eq!((stats.tokens_fetched, stats.token_failures), (1, 0));
}

async fn told_own(client: &Client) -> Option<String> {
    let mine = headers([("authorization", "Mine 1")]);
    let landed = Door::Builder.send(client, Method::GET, "/", mine, "").await.unwrap();
    landed.echoed().header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn a_server_that_wants_it_is_told_the_secret_in_the_body() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let mut oauth2 = issuer.oauth2();
    oauth2.client_auth = ClientAuth::Body;
    oauth2.audience = Some("https://api.example/".to_owned());
    let client = Client::new(config(&place, oauth2)).unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    let asked = issuer.asked().remove(0);
    assert_eq!(asked.header("authorization"), None);
    let form = "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example%2F&client_id=an+id&client_secret=secret%2Fcanary%2B";
    assert_eq!(asked.body, form);
}

#[tokio::test]
async fn all_who_wait_share_one_fetch_and_the_first_may_go() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let gate = issuer.holds();
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { told(&client, "/").await })
    };
    let leader = ask();
    issuer.server.until_requests(1).await;
    let waiters: Vec<_> = (0..50).map(|_| ask()).collect();
    // They have all begun when this task has its turn again.
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open();
    for waiter in waiters {
        assert_eq!(within(PATIENCE, waiter).await.unwrap().as_deref(), Some("Bearer t1"));
    }
    assert_eq!((issuer.times(), place.requests()), (1, 50));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_request_waits_for_a_token_within_its_own_time() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let gate = issuer.holds();
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    let error = client
        .get("/")
        .timeout(Duration::from_millis(50))
        .send()
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.kind(),
            Kind::Timeout {
                phase: Phase::Token,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.is_retryable() && error.to_string().contains("fetching a token"),
        "{error}"
    );
    assert_eq!(place.requests(), 0);
    gate.open();
    // The fetch went on for whoever comes.
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    assert_eq!(issuer.times(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_beside_the_requests_before_it_ends() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    issuer.lives("\"2\"");
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    issuer.lives("3600");
    let gate = issuer.holds();
    // The old one serves while the new one is on its way.
    let asked_again = async {
        while issuer.times() < 2 {
            assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
        }
    };
    within(PATIENCE, asked_again).await;
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    gate.open();
    within(PATIENCE, async {
        while told(&client, "/").await.as_deref() != Some("Bearer t2") {}
    })
    .await;
    assert_eq!(issuer.times(), 2);
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_401_has_the_token_renewed_once_and_the_request_sent_once_more() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    place.answers("/shut", 401);
    let before = place.requests();
    let landed = Door::Builder
        .send(&client, Method::POST, "/shut", headers([]), "a body")
        .await;
    assert_eq!(landed.unwrap().status, 401);
    let bearers: Vec<_> = place.seen()[before..]
        .iter()
        .map(|seen| (seen.header("authorization").unwrap().to_owned(), seen.body.clone()))
        .collect();
    let sent = |token: &str| (format!("Bearer {token}"), "a body".to_owned());
    assert_eq!(bearers, [sent("t1"), sent("t2")]);
    // A server that lets nobody in is no reason to ask for a token each time.
    for _ in 0..10 {
        assert_eq!(Door::Builder.get(&client, "/shut").await.unwrap().status, 401);
    }
    assert_eq!((issuer.times(), place.requests() - before), (2, 12));
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t2"));
    let stats = client.stats();
    assert_eq!((stats.tokens_fetched, stats.credentials_renewed), (2, 1));
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn a_failure_is_told_without_secrets_and_is_not_asked_for_again_at_once() {
    let place = Place::start().await;
    let large = format!("{{\"access_token\":\"{}\"}}", "canary".repeat(20_000));
    for (status, body, words) in [
        (
            401,
            r#"{"error":"invalid_client","error_description":"canary"}"#,
            "answered 401 invalid_client",
        ),
        (400, r#"{"error":"Canary is not canary"}"#, "answered 400"),
        (503, "canary", "answered 503"),
        (302, "", "answered 302"),
        (
            200,
            "canary",
            "answered no token: expected JSON with access_token and token_type",
        ),
        (200, r#"{"access_token":"canary"}"#, "answered no token"),
        (
            200,
            r#"{"access_token":"canary","token_type":"mac"}"#,
            "gave a token of the type mac: expected Bearer",
        ),
        (
            200,
            r#"{"access_token":"canary\r\nx: y","token_type":"Bearer"}"#,
            "a header can't hold the token",
        ),
        (
            200,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            "the token is empty",
        ),
        (200, large.as_str(), "larger than"),
    ] {
        let issuer = Issuer::start().await;
        issuer.says(status, body);
        let client = Client::new(config(&place, issuer.oauth2())).unwrap();
        for _ in 0..20 {
            let error = Door::Builder.get(&client, "/").await.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (Kind::Token, true), "{error}");
            let shown = format!("{error} {error:#} {error:?}");
            assert!(shown.contains(words) && shown.contains("auth.oauth2"), "{shown}");
            assert!(!shown.contains("canary") && !shown.contains("YW4raWQ6"), "{shown}");
        }
        assert_eq!(issuer.times(), 1, "{words}");
        assert_at_rest(&client).await;
        let stats = client.stats();
        assert_eq!((stats.tokens_fetched, stats.token_failures), (0, 1));
    }
    assert_eq!(place.requests(), 0);
}

#[tokio::test]
async fn after_a_pause_it_is_tried_again_and_an_old_token_serves_until_it_ends() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    issuer.says(503, "");
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    Door::Builder.get(&client, "/").await.unwrap_err();
    issuer.recovers();
    issuer.lives("3");
    let recovered = async { while Door::Builder.get(&client, "/").await.is_err() {} };
    within(PATIENCE, recovered).await;
    assert_eq!(issuer.times(), 2);
    // Down when the token is to be renewed: it serves on.
    issuer.says(503, "");
    within(PATIENCE, async {
        while issuer.times() < 3 {
            assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
        }
    })
    .await;
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    // And when it has ended, nothing does.
    let ended = async {
        loop {
            if let Err(error) = Door::Builder.get(&client, "/").await {
                break error;
            }
        }
    };
    assert_eq!(within(PATIENCE, ended).await.kind(), Kind::Token);
}

#[tokio::test]
async fn a_secret_s_file_is_read_for_each_token() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    write(file.path(), "one\n");
    let mut oauth2 = issuer.oauth2();
    oauth2.client_id = "id".to_owned();
    oauth2.client_secret = Token::File(file.path().to_owned());
    let client = Client::new(config(&place, oauth2.clone())).unwrap();
    told(&client, "/").await;
    write(file.path(), "two");
    place.answers("/shut", 401);
    Door::Builder.get(&client, "/shut").await.unwrap();
    let basics: Vec<_> = issuer
        .asked()
        .iter()
        .map(|asked| asked.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(basics, ["Basic aWQ6b25l", "Basic aWQ6dHdv"]);
    write(file.path(), "");
    let error = Client::new(config(&place, oauth2)).unwrap_err().to_string();
    assert!(
        error.contains("default.auth.oauth2.client_secret: the file "),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_s_fetch_passes_the_profile_s_guards() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let port = issuer.server.port();
    let denied = config(&place, issuer.oauth2()).deny_egress([format!("127.0.0.1:{port}")]);
    let error = Door::Builder.get(&Client::new(denied).unwrap(), "/").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Token);
    assert!(error.to_string().contains("egress.deny"), "{error}");
    // A name that leads there is judged where it leads.
    let mut oauth2 = issuer.oauth2();
    oauth2.token_url = format!("http://login.test:{port}/token");
    let denied = config(&place, oauth2)
        .dns_override("login.test", [([127, 0, 0, 1], 0).into()])
        .deny_egress([format!("127.0.0.1:{port}")]);
    let error = Door::Builder.get(&Client::new(denied).unwrap(), "/").await.unwrap_err();
    assert!(error.to_string().contains("egress.deny"), "{error}");
    assert_eq!((issuer.times(), issuer.server.accepted(), place.requests()), (0, 0, 0));
}

#[tokio::test]
async fn a_profile_s_clients_share_a_token_that_outlives_reloads_and_nobody_else_has() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let loaded = |id: &str, more: &str| {
        let text = format!(
            "[default]\nbase_url = \"{}\"\n[default.auth.oauth2]\ntoken_url = \"{}\"\nclient_id = \"{id}\"\nclient_secret = \"s\"\n\
             scopes = [\"read\"]\n[one]\n{more}\n[two]",
            place.url(""),
            issuer.server.url("/token"),
        );
        Config::builder().embedded("test.toml", text).load().unwrap()
    };
    let build = || Registry::builder().config(loaded("a", "")).build().unwrap();
    let (registry, elsewhere) = (build(), build());
    let client = |name: &str| registry.client(name).unwrap();
    let one = client("one");
    assert_eq!(told(&one, "/").await.as_deref(), Some("Bearer t1"));
    assert_eq!(told(&client("one"), "/").await.as_deref(), Some("Bearer t1"));
    assert_eq!(told(&client("two"), "/").await.as_deref(), Some("Bearer t2"));
    assert_eq!(
        told(&elsewhere.client("one").unwrap(), "/").await.as_deref(),
        Some("Bearer t3")
    );
    registry
        .reload(loaded("a", "timeout = \"20s\"\nretry.max_attempts = 2"))
        .unwrap();
    assert_eq!(told(&one, "/").await.as_deref(), Some("Bearer t1"));
    registry.reload(loaded("b", "")).unwrap();
    assert_eq!(
        told(&one, "/").await.as_deref(),
        Some("Bearer t4"),
        "another client's token is no token of this one"
    );
    assert_eq!(issuer.asked()[3].body, "grant_type=client_credentials&scope=read");
}

#[tokio::test]
async fn a_fetch_goes_by_the_settings_in_force_though_the_token_outlives_them() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let loaded = |agent: &str| {
        let text = format!(
            "[default]\nbase_url = \"{}\"\nuser_agent = \"{agent}\"\n[default.auth.oauth2]\ntoken_url = \"{}\"\n\
             client_id = \"a\"\nclient_secret = \"s\"",
            place.url(""),
            issuer.server.url("/token"),
        );
        Config::builder().embedded("test.toml", text).load().unwrap()
    };
    let registry = Registry::builder().config(loaded("before")).build().unwrap();
    let client = registry.client("default").unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    registry.reload(loaded("after")).unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    // It is refused, and the next one fetched.
    place.answers("/refuses", 401);
    Door::Builder.get(&client, "/refuses").await.unwrap();
    let agents: Vec<_> = issuer
        .asked()
        .iter()
        .map(|asked| asked.header("user-agent").map(str::to_owned))
        .collect();
    assert_eq!(agents, ["before", "after"].map(|agent| Some(agent.to_owned())));
}

#[tokio::test]
async fn a_runtime_that_ends_in_a_fetch_leaves_it_to_the_next() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let gate = issuer.holds();
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    let (begun, stop) = (client.clone(), Arc::new(AtomicBool::new(false)));
    let stopping = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let asking = tokio::spawn(async move { told(&begun, "/").await });
            while !stopping.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            asking.abort();
        });
    });
    issuer.server.until_requests(1).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { told(&client, "/").await }
    });
    tokio::task::yield_now().await;
    stop.store(true, Ordering::SeqCst);
    gate.open();
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap();
    let token = within(PATIENCE, waiting).await.unwrap().unwrap();
    assert!(token.starts_with("Bearer t"), "{token}");
}

#[tokio::test]
async fn a_fetch_whose_runtime_nobody_drives_any_more_is_made_anew_by_another() {
    let (issuer, place) = (Arc::new(Issuer::start().await), Place::start().await);
    let gate = issuer.holds();
    let client = Client::new(config(&place, issuer.oauth2())).unwrap();
    let (begun, asked) = (client.clone(), Arc::clone(&issuer));
    let still = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::select! {
                told = told(&begun, "/") => panic!("{told:?}"),
                () = asked.server.until_requests(1) => {}
            }
        });
        runtime
    });
    let still = within(PATIENCE, still).await.unwrap();
    gate.open();
    let tokens = async { tokio::join!(told(&client, "/"), told(&client, "/")) };
    let (one, other) = within(PATIENCE, tokens).await;
    assert!(
        one.as_ref().is_some_and(|token| token.starts_with("Bearer t")),
        "{one:?}"
    );
    assert_eq!(one, other);
    assert_eq!(issuer.times(), 2, "once for all who wait");
    tokio::task::spawn_blocking(|| drop(still)).await.unwrap();
}

#[test]
fn half_a_server_is_refused_and_nothing_is_shown() {
    let load = |keys: &str| {
        let text = format!("[default]\nbase_url = \"https://api.test\"\n[default.auth.oauth2]\n{keys}");
        Config::builder().embedded("test.toml", text).load()
    };
    let whole = "token_url = \"https://login.test/token\"\nclient_id = \"id\"\nclient_secret = \"canary\"\n";
    for (keys, words) in [
        (
            "token_url = \"https://login.test/token\"",
            "default.auth.oauth2.token_url: needs auth.oauth2.client_id beside it",
        ),
        (
            "client_secret = \"canary\"",
            "default.auth.oauth2.client_secret: needs auth.oauth2.token_url beside it",
        ),
        (
            "token_url = \"ftp://host\"",
            "expected a URL such as \"https://login.example/token\"",
        ),
        (
            "token_url = \"https://me:canary@login.test\"",
            "without user, password and fragment",
        ),
        (&format!("{whole}scopes = [\"a b\"]"), "expected a scope such as"),
        (
            &format!("{whole}client_auth = \"jwt\""),
            "expected \"basic\" or \"body\"",
        ),
        (
            &format!("{whole}[default.auth]\nbearer = \"canary\""),
            "contradicts auth.basic and auth.bearer",
        ),
    ] {
        let error = load(keys).unwrap_err();
        assert!(error.to_string().contains(words), "{keys}: {error}");
        assert!(!format!("{error} {error:#} {error:?}").contains("canary"), "{error}");
    }
    let config = load(whole).unwrap();
    assert!(!format!("{config:?} {:?}", config.profile("default").unwrap()).contains("canary"));
    // Switched off, what is inherited is off as a whole.
    for off in [
        "[a.auth]\noauth2 = \"none\"",
        "[a.auth.oauth2]\ntoken_url = \"none\"\nclient_id = \"none\"\nclient_secret = \"none\"",
    ] {
        let config = load(&format!("{whole}{off}")).unwrap();
        assert_eq!(config.profile("a").unwrap().policy.auth.oauth2, None, "{off}");
    }
}

#[tokio::test]
async fn a_token_is_fetched_through_the_profile_s_proxy_whose_login_nobody_else_hears() {
    let (issuer, place) = (Issuer::start().await, Place::start().await);
    let proxy = Proxy::builder().login("user", "word").start().await;
    let mut config = config(&place, issuer.oauth2());
    let through = ProxyChoice::Through(proxy.url_as("http", "user:word@").as_str().into());
    config.profile_mut().transport.proxy.url = Some(through);
    let client = Client::new(config).unwrap();
    assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
    assert_eq!(
        proxy.wanted(),
        [
            format!("POST {}", issuer.oauth2().token_url),
            format!("GET {}", place.url("/")),
        ]
    );
    for asked in issuer.asked().iter().chain(&place.seen()) {
        assert_eq!(asked.header("proxy-authorization"), None, "{asked:?}");
    }
}

#[tokio::test]
async fn a_token_is_fetched_with_the_profile_s_certificate() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let clients = Ca::new();
    let own = clients.issue_client("me");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let root = file("ca.pem", &ca.pem());
    let (certificate, key) = (file("cert.pem", own.certificate_pem()), file("key.pem", own.key_pem()));
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).demand_client_of(clients);
    let issuer = Issuer::start_as(Server::builder().tls(tls.build())).await;
    let place = Place::start().await;
    for is_known in [false, true] {
        let mut config = config(&place, issuer.oauth2());
        let tls = &mut config.profile_mut().transport.tls;
        tls.ca_file = Some(root.clone());
        if is_known {
            (tls.cert_file, tls.key_file) = (Some(certificate.clone()), Some(key.clone()));
        }
        let client = Client::new(config).unwrap();
        if is_known {
            assert_eq!(told(&client, "/").await.as_deref(), Some("Bearer t1"));
        } else {
            let error = Door::Builder.get(&client, "/").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Token, "{error}");
            assert!(error.to_string().contains("client certificate"), "{error}");
        }
    }
    assert_eq!(issuer.times(), 1);
}
