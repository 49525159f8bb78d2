//! Malformed answers: each has one stated result, and none leaves a connection that is used again.

use httputil::{Client, Error};
use httputil_tests::script::{Script, Step, answers, steps};
use httputil_tests::tls::Alpn;
use httputil_tests::{PATIENCE, one_attempt, within};

use crate::common::{TrustedCa, assert_all_gone, client, get, until};

/// What becomes of an answer.
#[derive(Clone, Copy, Debug)]
enum Is {
    /// It is read, and has this body.
    Read(&'static str),
    /// The request fails, with these words in its error.
    Refused(&'static str),
    /// The head is taken, and the body fails.
    Cut,
}
use Is::{Cut, Read, Refused};

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// Raw answers, `{OK}` being a good status line.
const CORPUS: [(&str, &str, Is); 38] = [
    (
        "a bare LF behind a header",
        "{OK}a: b\ncontent-length: 2\r\n\r\nhi",
        Read("hi"),
    ),
    ("bare LFs alone", "HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", Read("hi")),
    ("an empty line first", "\r\n{OK}content-length: 2\r\n\r\nhi", Read("hi")),
    (
        "a bare CR in a header",
        "{OK}a: b\rc: d\r\ncontent-length: 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a NUL in a header",
        "{OK}a: b\0c\r\ncontent-length: 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a NUL in a name",
        "{OK}a\0: b\r\ncontent-length: 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a folded line",
        "{OK}a: b\r\n c\r\ncontent-length: 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a space before a colon",
        "{OK}content-length : 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a space before a name",
        "{OK} content-length: 2\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    (
        "a header without a colon",
        "{OK}content-length\r\n\r\nhi",
        Refused("invalid HTTP header"),
    ),
    ("an empty name", "{OK}: 2\r\n\r\nhi", Refused("invalid HTTP header")),
    (
        "a length with a plus",
        "{OK}content-length: +2\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "a negative length",
        "{OK}content-length: -2\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "a length in hex",
        "{OK}content-length: 0x2\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "an empty length",
        "{OK}content-length:\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "a length of 2^64",
        "{OK}content-length: 18446744073709551616\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "a length of 2^64-1",
        "{OK}content-length: 18446744073709551615\r\n\r\nhi",
        Refused("too large"),
    ),
    (
        "a length just below",
        "{OK}content-length: 18446744073709551600\r\n\r\nhi",
        Cut,
    ),
    (
        "differing lengths",
        "{OK}content-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "differing lengths in one",
        "{OK}content-length: 2, 3\r\n\r\nhi",
        Refused("content-length"),
    ),
    (
        "length and chunks",
        "{OK}content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Read("hi"),
    ),
    (
        "chunks of HTTP/1.0",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused("transfer-encoding"),
    ),
    (
        "chunked, not last",
        "{OK}transfer-encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Read("2\r\nhi\r\n0\r\n\r\n"),
    ),
    (
        "a chunk of size -1",
        "{OK}transfer-encoding: chunked\r\n\r\n-1\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk of size +2",
        "{OK}transfer-encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk of size 0x2",
        "{OK}transfer-encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk without a size",
        "{OK}transfer-encoding: chunked\r\n\r\n\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk larger than 2^64",
        "{OK}transfer-encoding: chunked\r\n\r\n10000000000000000\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk nearly as large",
        "{OK}transfer-encoding: chunked\r\n\r\nfffffffffffffff0\r\nhi",
        Cut,
    ),
    (
        "a chunk longer than its size",
        "{OK}transfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk line with a bare LF",
        "{OK}transfer-encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a bare CR in a chunk's extension",
        "{OK}transfer-encoding: chunked\r\n\r\n2;a\rb\r\nhi\r\n0\r\n\r\n",
        Cut,
    ),
    ("HTTP/0.9", "hi", Refused("HTTP version")),
    (
        "HTTP/2 in text",
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        Refused("HTTP version"),
    ),
    (
        "the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused("HTTP version"),
    ),
    ("SETTINGS of HTTP/2", "\0\0\0\x04\0\0\0\0\0", Refused("HTTP version")),
    (
        "a status of two digits",
        "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nhi",
        Refused("status"),
    ),
    (
        "a status that is none",
        "HTTP/1.1 abc OK\r\ncontent-length: 2\r\n\r\nhi",
        Refused("status"),
    ),
];

async fn read(client: &Client, url: &str) -> Result<Result<String, reqwest::Error>, Error> {
    let response = client.get(url).send().await?;
    Ok(response.text().await)
}

#[tokio::test]
async fn each_of_a_corpus_has_its_stated_result_and_ends_its_connection() {
    let ca = TrustedCa::new();
    let mut wrong = Vec::new();
    for (name, answer, is) in CORPUS {
        for tls in [false, true] {
            let answer = answer.replace("{OK}", OK);
            let first = vec![Step::ReadHead, Step::write(answer), Step::Fin];
            let mut scripts = [first, steps::answer_all(answers::ok("more"))];
            if tls {
                let config = ca.server_for(["127.0.0.1"], Alpn::H1);
                scripts = scripts.map(|script| steps::over_tls(&config, script));
            }
            let server = Script::start(scripts).await;
            let address = if tls { server.https_url("/") } else { server.url("/") };
            let client = ca.client();
            let result = within(PATIENCE, read(&client, &address)).await;
            let is_right = match (&result, is) {
                (Ok(Ok(body)), Read(wanted)) => body == wanted,
                (Err(error), Refused(words)) => error.to_string().contains(words),
                (Ok(Err(_)), Cut) => true,
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{name}, {tls}: {is:?}: {result:?}"));
            }
            server.until_closed(1).await;
            assert_eq!(get(&client, &address).await, "more", "{name}");
            assert_eq!(server.accepted(), 2, "{name}");
            assert_all_gone(&client).await;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_read_although_it_is_odd_ends_its_connection_by_itself() {
    for (name, answer, is) in CORPUS {
        let (Read(body), false) = (is, name.contains("not last")) else {
            continue;
        };
        // The server would go on.
        let server = Script::start([steps::answer_all(answer.replace("{OK}", OK))]).await;
        let client = client();
        for round in 1..=2 {
            assert_eq!(get(&client, &server.url("/")).await, body, "{name}");
            server.until_closed(round).await;
        }
        assert_all_gone(&client).await;
    }
}

#[tokio::test]
async fn informational_answers_are_skipped_and_endless_ones_are_an_error() {
    let hint = answers::head("103 Early Hints", &[("link", "</style.css>; rel=preload")]);
    let few = vec![
        Step::ReadHead,
        Step::write(
            [
                &hint[..],
                b"HTTP/1.1 102 Processing\r\n\r\n",
                &hint[..],
                &answers::ok("at last")[..],
            ]
            .concat(),
        ),
        Step::Repeat(steps::answer_once(answers::ok("more"))),
    ];
    let server = Script::start([few]).await;
    let client = client();
    assert_eq!(get(&client, &server.url("/")).await, "at last");
    assert_eq!(get(&client, &server.url("/")).await, "more");
    assert_eq!(server.accepted(), 1);

    let endless = vec![Step::ReadHead, Step::Repeat(vec![Step::write(hint.repeat(100))])];
    let server = Script::start([endless]).await;
    let patient = Client::new(one_attempt().no_timeout()).unwrap();
    let error = within(PATIENCE, patient.get(server.url("/")).send()).await.unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB before the end"), "{error}");
    server.until_closed(1).await;
    assert_all_gone(&patient).await;
}

#[tokio::test]
async fn a_cut_answer_is_never_whole() {
    let ca = TrustedCa::new();
    let config = ca.server_for(["127.0.0.1"], Alpn::H1);
    // By its close alone, and that without a TLS close: anybody on the way could have cut it.
    let delimited = Step::write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nthe beginning");
    for (end, is_whole) in [(Step::Fin, true), (Step::CutFin, false), (Step::Reset, false)] {
        let script = vec![Step::ReadHead, delimited.clone(), end.clone()];
        let server = Script::start([steps::over_tls(&config, script)]).await;
        let client = ca.client();
        let text = read(&client, &server.https_url("/")).await;
        assert_eq!(matches!(text, Ok(Ok(_))), is_whole, "{end:?}: {text:?}");
        assert_all_gone(&client).await;
    }
    for answer in [
        answers::cut(10, "hello"),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".into(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n".into(),
    ] {
        let server = Script::start([vec![Step::ReadHead, Step::write(answer.clone()), Step::Fin]]).await;
        let client = client();
        let text = read(&client, &server.url("/")).await;
        assert!(matches!(text, Ok(Err(_))), "{answer:?}: {text:?}");
        until(&client, "its end", |stats| stats.open == 0).await;
        assert_all_gone(&client).await;
    }
}
