//! Prompts and embeddings.

use std::time::{Duration, Instant};

use httputil::{Error, Kind, Phase, PooledClient as _, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::ai::{Ai, AiError, Answer, Message, Prompt, Usage};
use services::peers::{AiPeer, Manner};

use crate::support::registry;

const PROVIDERS: [&str; 3] = ["openai", "anthropic", "ollama"];

fn asking<'a>(peer: &AiPeer, provider: &str, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let path = if provider == "ollama" { "" } else { "/v1" };
    let own = [
        ("ai.settings.endpoint", format!("{}{path}", peer.url())),
        ("ai.settings.provider", provider.to_owned()),
        ("ai.retry.backoff.base", "1ms".to_owned()),
    ];
    let more = more.into_iter().map(|(key, value)| (key, value.to_owned()));
    registry(own.into_iter().chain(more))
}

fn hello() -> [Message; 1] {
    [Message::user("hello there")]
}

fn prompt(messages: &[Message]) -> Prompt<'_> {
    Prompt {
        model: "echo",
        messages,
        max_tokens: None,
    }
}

fn answered(provider: &str) -> Answer {
    let finish_reason = if provider == "anthropic" { "end_turn" } else { "stop" };
    Answer {
        text: "You said: hello there".to_owned(),
        finish_reason: Some(finish_reason.to_owned()),
        usage: Some(Usage { input: 11, output: 3 }),
        request_id: Some("req_7".to_owned()),
    }
}

#[tokio::test]
async fn each_protocol_is_spoken_whole_and_streamed_over_one_connection() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(Some("a key")).await;
        let registry = asking(&peer, provider, [("ai.settings.api_key", "a key")]);
        let ai = Ai::with_registry(&registry).unwrap();
        let messages = hello();
        assert_eq!(ai.ask(&prompt(&messages)).await.unwrap(), answered(provider));
        for _ in 0..2 {
            let answer = ai.stream(&prompt(&messages)).await.unwrap();
            assert_eq!(answer.request_id(), Some("req_7"));
            assert_eq!(answer.whole().await.unwrap(), answered(provider), "{provider}");
        }
        let texts = ["a".to_owned(), "bcd".to_owned()];
        match ai.embed("vectors", &texts).await {
            Err(AiError::NoEmbeddings) => assert_eq!(provider, "anthropic"),
            vectors => assert_eq!(vectors.unwrap(), [[1.0, 0.0], [3.0, 1.0]], "{provider}"),
        }
        assert_eq!(peer.server.accepted(), 1, "{provider}");
        for (headers, _) in peer.asked() {
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            let known_by = match provider {
                "anthropic" => [header("x-api-key"), header("anthropic-version")],
                _ => [header("authorization"), None],
            };
            let wanted = match provider {
                "anthropic" => [Some("a key"), Some("2023-06-01")],
                _ => [Some("Bearer a key"), None],
            };
            assert_eq!(known_by, wanted, "{provider}");
        }
    }
}

#[tokio::test]
async fn what_the_system_says_and_how_long_an_answer_may_be_is_said_as_each_wants_it() {
    let system = |content: &str| Message {
        role: "system",
        content: content.to_owned(),
    };
    let messages = [system("be brief"), system("be kind"), Message::user("hello")];
    let prompt = Prompt {
        max_tokens: Some(7),
        ..prompt(&messages)
    };
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [])).unwrap();
        ai.stream(&prompt).await.unwrap().whole().await.unwrap();
        let (_, asked) = &peer.asked()[0];
        let (system, bound) = match provider {
            "openai" => (&asked["messages"][0]["content"], &asked["max_completion_tokens"]),
            "anthropic" => (&asked["system"], &asked["max_tokens"]),
            _ => (&asked["messages"][0]["content"], &asked["options"]["num_predict"]),
        };
        let wanted = match provider {
            "anthropic" => "be brief\n\nbe kind",
            _ => "be brief",
        };
        assert_eq!((system, bound), (&wanted.into(), &7.into()), "{provider}: {asked}");
        let last = asked["messages"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["role"], &last["content"]), (&"user".into(), &"hello".into()));
    }
}

#[tokio::test]
async fn pieces_come_as_they_are_made_and_a_slow_stream_holds_nobody_up() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [])).unwrap();
        let (gate, messages) = (Gate::new(), hello());
        peer.stream_next(Manner::Waits(gate.clone()));
        let mut slow = ai.stream(&prompt(&messages)).await.unwrap();
        // The server has made no more than this one.
        assert_eq!(slow.next().await.unwrap().unwrap(), "You ");
        for _ in 0..20 {
            let answer = ai.ask(&prompt(&messages)).await.unwrap();
            assert_eq!(answer, answered(provider));
        }
        assert_eq!(
            slow.usage().map(|usage| usage.output),
            (provider == "anthropic").then_some(1)
        );
        // Nothing is lost with a wait that is given up.
        tokio::select! {
            biased;
            piece = slow.next() => panic!("{provider}: {piece:?}"),
            () = gate.arrived(1) => {}
        }
        gate.open();
        let mut rest = String::new();
        while let Some(piece) = slow.next().await {
            rest.push_str(&piece.unwrap());
        }
        assert_eq!(rest, "said: hello there", "{provider}");
        assert_eq!(
            (slow.usage(), slow.finish_reason()),
            (answered(provider).usage, answered(provider).finish_reason.as_deref())
        );
        // It is still held, and its connection is not.
        within(PATIENCE, async {
            while ai.client().stats().idle < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(peer.server.accepted(), 2, "{provider}");
    }
}

#[tokio::test]
async fn over_http_2_a_slow_stream_and_the_others_share_one_connection() {
    for provider in PROVIDERS {
        let peer = AiPeer::start_h2(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [("ai.http2.prior_knowledge", "true")])).unwrap();
        let (gate, messages) = (Gate::new(), hello());
        peer.stream_next(Manner::Waits(gate.clone()));
        let mut slow = ai.stream(&prompt(&messages)).await.unwrap();
        assert_eq!(slow.next().await.unwrap().unwrap(), "You ");
        for _ in 0..20 {
            assert_eq!(ai.ask(&prompt(&messages)).await.unwrap(), answered(provider));
        }
        // One that is dropped in mid-answer takes no other one along.
        peer.stream_next(Manner::Waits(gate.clone()));
        let mut dropped = ai.stream(&prompt(&messages)).await.unwrap();
        assert_eq!(dropped.next().await.unwrap().unwrap(), "You ");
        gate.arrived(2).await;
        drop(dropped);
        gate.left(1).await;
        gate.open();
        let mut rest = String::new();
        while let Some(piece) = slow.next().await {
            rest.push_str(&piece.unwrap());
        }
        assert_eq!(rest, "said: hello there", "{provider}");
        assert_eq!((peer.server.accepted(), peer.server.requests()), (1, 22), "{provider}");
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_given_up_at_the_server() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [])).unwrap();
        let (gate, messages) = (Gate::new(), hello());
        peer.stream_next(Manner::Waits(gate.clone()));
        let mut answer = ai.stream(&prompt(&messages)).await.unwrap();
        answer.next().await.unwrap().unwrap();
        gate.arrived(1).await;
        drop(answer);
        gate.left(1).await;
        peer.server.until_open(0).await;
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_before_it_has_begun() {
    for (provider, status) in [("openai", 503), ("anthropic", 529), ("ollama", 502)] {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [])).unwrap();
        peer.refuse_next(StatusCode::from_u16(status).unwrap(), "overloaded_error", None);
        let messages = hello();
        let answer = ai.stream(&prompt(&messages)).await.unwrap();
        assert_eq!(answer.whole().await.unwrap(), answered(provider));
        assert_eq!(peer.server.requests(), 2, "{provider}");
    }
}

#[tokio::test]
async fn a_limit_that_passes_is_waited_for_and_one_that_does_not_is_told_at_once() {
    let peer = AiPeer::start(None).await;
    let ai = Ai::with_registry(&asking(&peer, "openai", [])).unwrap();
    let messages = hello();
    peer.refuse_next(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", Some(1));
    let began = Instant::now();
    ai.ask(&prompt(&messages)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(peer.server.requests(), 2);

    peer.refuse_next(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", None);
    let error = ai.ask(&prompt(&messages)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model's server answered 429 Too Many Requests: not now, insufficient_quota (request req_7)"
    );
    assert!(!error.may_pass());
    assert_eq!(peer.server.requests(), 3);
}

#[tokio::test]
async fn a_failure_inside_of_an_answer_is_told_and_nothing_is_sent_again() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, [])).unwrap();
        let messages = hello();
        for manner in [Manner::Fails, Manner::Ends] {
            let is_told = matches!(manner, Manner::Fails);
            peer.stream_next(manner);
            let mut answer = ai.stream(&prompt(&messages)).await.unwrap();
            assert_eq!(answer.next().await.unwrap().unwrap(), "You ", "what it has said stands");
            let error = answer.next().await.unwrap().unwrap_err();
            match &error {
                AiError::InStream { message, .. } => {
                    assert!(is_told && message == "the model is overloaded", "{error}");
                }
                AiError::BrokeOff(None) => assert!(!is_told, "{provider}: {error}"),
                _ => panic!("{provider}: {error}"),
            }
            assert!(answer.next().await.is_none() && error.may_pass());
        }
        assert_eq!(peer.server.requests(), 2, "{provider}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_in_mid_answer_is_told_as_that() {
    let gate = Gate::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = r#"data: {"choices":[{"index":0,"delta":{"content":"You "}}]}"#;
    let chunk = format!("{:x}\r\n{piece}\n\n\r\n", piece.len() + 2);
    let script = Script::start([vec![
        Step::ReadRequest,
        Step::write(format!("{head}{chunk}")),
        Step::Hold(gate.clone()),
        Step::Reset,
    ]])
    .await;
    let registry = registry([("ai.settings.endpoint", script.url("/v1"))]);
    let ai = Ai::with_registry(&registry).unwrap();
    let messages = hello();
    let mut answer = ai.stream(&prompt(&messages)).await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "You ");
    gate.open();
    let error = answer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, AiError::BrokeOff(Some(_))), "{error}");
    assert_eq!(Error::of(&error).unwrap().kind(), Kind::Body);
}

#[tokio::test]
async fn a_model_that_thinks_may_take_its_time_as_long_as_it_is_there() {
    let bounds = [("ai.timeouts.read", "1s")];
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let ai = Ai::with_registry(&asking(&peer, provider, bounds)).unwrap();
        let messages = hello();
        peer.stream_next(Manner::Pings(15, Duration::from_millis(100)));
        let began = Instant::now();
        let answer = ai.stream(&prompt(&messages)).await.unwrap();
        assert_eq!(answer.whole().await.unwrap(), answered(provider));
        assert!(began.elapsed() > Duration::from_secs(1));
    }
    let peer = AiPeer::start(None).await;
    let ai = Ai::with_registry(&asking(&peer, "openai", [("ai.timeouts.read", "100ms")])).unwrap();
    let (gate, messages) = (Gate::new(), hello());
    peer.stream_next(Manner::Waits(gate.clone()));
    let mut silent = ai.stream(&prompt(&messages)).await.unwrap();
    silent.next().await.unwrap().unwrap();
    let error = within(PATIENCE, silent.next()).await.unwrap().unwrap_err();
    let Kind::Timeout { phase, .. } = Error::of(&error).unwrap().kind() else {
        panic!("{error}")
    };
    assert_eq!(phase, Phase::Body, "{error}");
}

#[tokio::test]
async fn an_event_is_bounded_before_it_is_read() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let registry = asking(&peer, provider, [("ai.settings.largest_event", "100000")]);
        let ai = Ai::with_registry(&registry).unwrap();
        let messages = hello();
        peer.stream_next(Manner::IsLarge(90_000));
        let mut answer = ai.stream(&prompt(&messages)).await.unwrap();
        assert_eq!(answer.next().await.unwrap().unwrap().len(), 90_000);
        peer.stream_next(Manner::IsLarge(110_000));
        let mut answer = ai.stream(&prompt(&messages)).await.unwrap();
        let error = answer.next().await.unwrap().unwrap_err();
        assert!(matches!(error, AiError::TooLarge(100_000)), "{provider}: {error}");
    }
}

#[tokio::test]
async fn what_the_server_says_is_told_and_the_key_is_not() {
    for provider in PROVIDERS {
        let peer = AiPeer::start(Some("a key")).await;
        let registry = asking(&peer, provider, [("ai.settings.api_key", "another key")]);
        let ai = Ai::with_registry(&registry).unwrap();
        let messages = hello();
        let error = ai.ask(&prompt(&messages)).await.unwrap_err();
        let AiError::Status { status, message, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*status, message.as_str()), (StatusCode::UNAUTHORIZED, "who are you?"));
        assert!(!format!("{error:?}").contains("another key") && !error.may_pass());
    }
    let other = Server::builder()
        .handler(handlers::fixed("<html>hello</html>"))
        .start()
        .await;
    let registry = registry([("ai.settings.endpoint", other.url("/v1"))]);
    let ai = Ai::with_registry(&registry).unwrap();
    let messages = hello();
    let error = ai.ask(&prompt(&messages)).await.unwrap_err();
    assert!(matches!(error, AiError::Answer(_)), "{error}");
    assert_eq!(ai.client().stats().retries, 0);
}

#[tokio::test]
async fn a_whole_answer_is_bounded_before_it_is_read() {
    let larger = Step::write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", (64 << 20) + 1));
    let script = Script::start([vec![Step::ReadRequest, larger, Step::Stall]]).await;
    let registry = registry([("ai.settings.endpoint", script.url("/v1"))]);
    let ai = Ai::with_registry(&registry).unwrap();
    let messages = hello();
    let error = within(PATIENCE, ai.ask(&prompt(&messages))).await.unwrap_err();
    assert!(
        matches!(&error, AiError::Http(error) if error.kind() == Kind::TooLarge),
        "{error:?}"
    );
}

#[tokio::test]
async fn each_text_has_its_vector_or_there_are_none() {
    for (provider, answer) in [
        ("openai", r#"{"data":[{"index":0,"embedding":[1]}]}"#),
        ("ollama", r#"{"embeddings":[[1]]}"#),
    ] {
        let server = Server::builder().handler(handlers::fixed(answer)).start().await;
        let registry = registry([
            ("ai.settings.endpoint", server.url("")),
            ("ai.settings.provider", provider.to_owned()),
        ]);
        let ai = Ai::with_registry(&registry).unwrap();
        let texts = ["a".to_owned(), "b".to_owned()];
        let error = ai.embed("vectors", &texts).await.unwrap_err();
        assert!(
            error.to_string().contains("1 vectors for 2 texts"),
            "{provider}: {error}"
        );
    }
}
