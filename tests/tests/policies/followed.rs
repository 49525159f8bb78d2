//! Redirects that a caller follows by a loop of its own, by the rules of this crate.

use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method};
use httputil::policy::redirect::Refusal;
use httputil::settings::Redirect;
use httputil_tests::script::{Script, answers, steps};
use httputil_tests::{PATIENCE, within};
use url::Url;

use crate::bare::{ask, get};

/// Sends a `GET` and goes where the answers say.
async fn follow(rules: &Redirect, url: &str, mut headers: HeaderMap) -> Result<Url, Refusal> {
    let mut url = Url::parse(url).unwrap();
    for hops in 0.. {
        let mut request = get(url.as_str());
        request.headers_mut().extend(headers.clone());
        let answer = within(PATIENCE, ask(request)).await.unwrap();
        let Some(hop) = rules.hop(&url, &Method::GET, answer.status(), answer.headers(), hops) else {
            break;
        };
        let hop = hop?;
        hop.strip(&mut headers, |name| name == "x-mine");
        url = hop.url;
    }
    Ok(url)
}

fn secrets() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer canary"));
    headers.insert("x-mine", HeaderValue::from_static("canary"));
    headers.insert("accept", HeaderValue::from_static("text/plain"));
    headers
}

#[tokio::test]
async fn secrets_go_to_the_next_page_of_their_server_and_to_no_other() {
    let other = Script::start([steps::answer_once(answers::ok("here"))]).await;
    let leave = answers::with_length("302 Found", &[("location", &other.url("/there"))], "");
    let stay = answers::with_length("302 Found", &[("location", "/next")], "");
    let own = Script::start([steps::answer_once(stay), steps::answer_once(leave)]).await;
    let url = follow(&Redirect::default(), &own.url("/"), secrets()).await.unwrap();
    assert_eq!(url.as_str(), other.url("/there"));
    let next = own.received_text(1);
    assert!(
        next.starts_with("GET /next ") && next.matches("canary").count() == 2,
        "{next}"
    );
    let there = other.received_text(0);
    assert!(there.contains("text/plain") && !there.contains("canary"), "{there}");
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_before_anything_is_sent() {
    let other = Script::start([steps::answer_once(answers::ok("here"))]).await;
    let leave = answers::with_length("307 Temporary Redirect", &[("location", &other.url("/there"))], "");
    let own = Script::start([steps::answer_once(leave)]).await;
    let mut rules = Redirect::default();
    rules.cross_origin = false;
    let refusal = follow(&rules, &own.url("/"), secrets()).await.unwrap_err();
    assert_eq!(refusal, Refusal::CrossOrigin(other.url("/there").parse().unwrap()));
    assert_eq!(other.received_text(0), "");
}
