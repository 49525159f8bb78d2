//! `Timings`: where the time of a request went.

use std::time::Duration;

use httputil::{Client, Timings};
use httputil_tests::gate::Gate;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::server::Server;
use httputil_tests::tls::Alpn;
use tower::Service;

use crate::common::{TrustedCa, Way, client, url};

async fn timings(client: &Client, url: &str) -> Timings {
    let response = client.get(url).send().await.unwrap();
    let timings = response.extensions().get::<Timings>().cloned();
    let timings = timings.expect("every response has them");
    response.bytes().await.unwrap();
    timings
}

#[tokio::test]
async fn the_first_request_tells_of_its_dial_and_the_next_that_there_was_none() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder(), &ca).await;
        let client = ca.client();
        let first = timings(&client, &url(&server, "/")).await;
        assert!(
            !first.reused() && first.dns().is_some() && first.connect().is_some(),
            "{way:?}: {first:?}"
        );
        assert_eq!(
            (first.tls().is_some(), first.proxy()),
            (way != Way::H1, None),
            "{way:?}"
        );
        let dial: Duration = [first.dns(), first.connect(), first.tls()].into_iter().flatten().sum();
        assert!(
            first.queue() >= dial && first.total() >= first.queue() + first.first_byte(),
            "{first:?}"
        );
        assert_eq!(first.send().is_some(), way != Way::H2Tls, "{way:?}");
        assert!(first.send().is_none_or(|send| send <= first.first_byte()), "{first:?}");
        assert_eq!(first.remote_addr(), Some(server.addr()), "{way:?}");

        let next = timings(&client, &url(&server, "/")).await;
        assert!(next.reused(), "{way:?}");
        assert_eq!((next.dns(), next.connect(), next.tls()), (None, None, None), "{way:?}");
        assert_eq!(
            (next.connection(), next.version()),
            (first.connection(), first.version()),
            "{way:?}"
        );

        client.close_idle_connections();
        let third = timings(&client, &url(&server, "/")).await;
        assert!(!third.reused() && third.connection() != first.connection(), "{way:?}");
    }
}

#[tokio::test]
async fn each_wait_is_given_to_what_was_waited_for() {
    let gate = Gate::new();
    let script = vec![
        Step::ReadHead,
        Step::Hold(gate.clone()),
        Step::write(answers::ok("slow")),
    ];
    let server = Script::start([script]).await;
    let client = client();
    let url = server.url("/");
    let request = tokio::spawn(async move { timings(&client, &url).await });
    gate.arrived(1).await;
    let held = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let held = held.elapsed();
    gate.open();
    let slow = request.await.unwrap();
    assert!(slow.first_byte() >= held && slow.total() >= held, "{slow:?}");
    assert!(
        slow.send().unwrap() + held <= slow.first_byte() + Duration::from_millis(1),
        "{slow:?}"
    );

    let resolver = ScriptedResolver::new();
    let looked_up = Gate::new();
    resolver.set("slow.test", Answer::to(["127.0.0.1:0"]).after(&looked_up));
    let ca = TrustedCa::new();
    let client = ca.registry("", &resolver).client("default").unwrap();
    let server = Script::start([steps::answer_all(answers::ok("found"))]).await;
    let url = format!("http://slow.test:{}/", server.port());
    let request = tokio::spawn(async move { timings(&client, &url).await });
    looked_up.arrived(1).await;
    let held = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let held = held.elapsed();
    looked_up.open();
    let found = request.await.unwrap();
    assert!(found.dns().unwrap() >= held && found.queue() >= held, "{found:?}");
    assert!(found.connect().unwrap() < held, "{found:?}");
}

#[tokio::test]
async fn the_tower_door_has_them_too() {
    let server = Server::builder().start().await;
    let mut client = client();
    let request = http::Request::get(server.url("/")).body(String::new()).unwrap();
    let response = client.call(request).await.unwrap();
    let timings = response.extensions().get::<Timings>().unwrap();
    assert_eq!((timings.reused(), timings.remote_addr()), (false, Some(server.addr())));
}

#[tokio::test]
async fn the_way_through_a_proxy_is_told_apart_from_the_way_to_it() {
    let (said, refused) = ([5, 0, 0, 1, 0, 0, 0, 0, 0, 0], [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    let asked = |held: &Gate, reply: [u8; 10]| {
        let greeting = [Step::ReadBody(3), Step::write(vec![5, 0]), Step::ReadBody(10)];
        [
            greeting.to_vec(),
            vec![Step::Hold(held.clone()), Step::write(reply.to_vec())],
        ]
        .concat()
    };
    let serves = || steps::answer_all(answers::ok("hello"));
    for (scheme, pauses) in [("http", 1), ("socks5", 2)] {
        let gate = Gate::new();
        gate.shut();
        let tunnel = [
            Step::ReadHead,
            Step::Hold(gate.clone()),
            Step::write("HTTP/1.1 200 Connection established\r\n\r\n"),
        ];
        let script = match scheme {
            "http" => vec![[tunnel.to_vec(), serves()].concat()],
            // The first address takes its time, too, before it is refused.
            _ => vec![
                [asked(&gate, refused), vec![Step::Close]].concat(),
                [asked(&gate, said), serves()].concat(),
            ],
        };
        let proxy = Script::start(script).await;
        let resolver = ScriptedResolver::new().name("a.test", Answer::to(["127.0.0.7:0", "127.0.0.8:0"]));
        let keys = format!("proxy.url = '{scheme}://{}'", proxy.addr());
        let client = TrustedCa::new().registry(&keys, &resolver).client("default").unwrap();
        let ask = || {
            // For another protocol an http proxy opens a tunnel; the server stays with this one.
            let request = client.get("http://a.test/").header("connection", "upgrade");
            let sent = request.header("upgrade", "x").send();
            tokio::spawn(async move {
                let response = sent.await.unwrap();
                let timings = response.extensions().get::<Timings>().cloned();
                response.bytes().await.unwrap();
                timings.unwrap()
            })
        };
        let request = ask();
        let mut held = Duration::ZERO;
        for pause in 1..=pauses {
            gate.arrived(pause).await;
            let began = std::time::Instant::now();
            tokio::time::sleep(Duration::from_millis(60)).await;
            held += began.elapsed();
            gate.let_through(1);
        }
        let told = request.await.unwrap();
        let through = told.proxy().expect("it went through a proxy");
        assert!(through >= held && told.queue() >= through, "{scheme}: {told:?}");
        assert!(
            told.connect().unwrap() < held && told.first_byte() < held,
            "{scheme}: {told:?}"
        );
        assert_eq!(told.remote_addr(), Some(proxy.addr()), "{scheme}");
        let next = ask().await.unwrap();
        assert!(next.reused() && next.proxy().is_none(), "{scheme}: {next:?}");
    }
}

#[tokio::test]
async fn tls_with_a_proxy_is_the_proxys_time_and_none_of_the_servers() {
    let ca = TrustedCa::new();
    let proxy = Proxy::builder()
        .tls(ca.server_for(["127.0.0.1"], Alpn::H1))
        .start()
        .await;
    let client = ca.registry(&format!("proxy.url = '{}'", proxy.url()), &ScriptedResolver::new());
    let client = client.client("default").unwrap();
    for (server, is_tls) in [
        (Server::builder().start().await, false),
        (Way::H1Tls.start(Server::builder(), &ca).await, true),
    ] {
        let told = timings(&client, &url(&server, "/")).await;
        assert!(told.proxy().is_some() && told.tls().is_some() == is_tls, "{told:?}");
    }
}
