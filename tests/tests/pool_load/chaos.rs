//! Many hosts that fail at random: every request ends in a right answer or a right error.

use std::time::Duration;

use httputil::{Client, Error, Kind, Phase};
use httputil_tests::leaks::Baseline;
use httputil_tests::script::{Script, Step, answers};
use httputil_tests::within;

use crate::ALONE;
use crate::common::{assert_all_gone, client};
use crate::scatter::Scatter;

const HOSTS: usize = 200;
const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 64;
const TIME_OUT: Duration = Duration::from_millis(400);

/// A connection of this host: some right answers, then one of the ways to fail.
fn connection(host: usize, scatter: &mut Scatter) -> Vec<Step> {
    let right = answers::ok(format!("host {host}"));
    let mut script = Vec::new();
    for _ in 0..scatter.below(8) {
        script.extend([Step::ReadRequest, Step::write(right.clone())]);
    }
    let read = Step::ReadRequest;
    script.extend(match scatter.below(12) {
        0 => vec![Step::Close],
        1 => vec![read, Step::Close],
        2 => vec![read, Step::Reset],
        3 => vec![Step::ReadHead, Step::Reset],
        4 => vec![read, Step::write(answers::GARBAGE)],
        5 => vec![read, Step::write(answers::cut(100, "host")), Step::Fin],
        6 => vec![read, Step::write("HTTP/1.1 200 OK\r\ncontent-le"), Step::Close],
        7 => vec![
            read,
            Step::write(answers::chunked(&["host "], &[]).slice(..50)),
            Step::Close,
        ],
        8 => vec![read, Step::write([right.clone(), right].concat())],
        9 => vec![read, Step::Stall],
        10 => vec![read, Step::write(answers::cut(100, "host")), Step::Stall],
        _ => vec![
            read,
            Step::WriteSlowly {
                bytes: right,
                pause: Duration::from_millis(1),
            },
            Step::Fin,
        ],
    });
    script
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    TimedOut,
    Failed,
}

async fn ask(client: Client, url: String, host: usize, posts: bool) -> Outcome {
    let request = if posts {
        client.post(&url).body("a body")
    } else {
        client.get(&url)
    };
    let answer = async {
        let response = request.timeout(TIME_OUT).send().await?;
        assert_eq!(response.status(), 200);
        Ok(response.text().await)
    };
    // Far more than the time-out, however busy the machine.
    let error = match within(TIME_OUT * 25, answer).await {
        Ok(Ok(text)) => {
            assert_eq!(text, format!("host {host}"));
            return Outcome::Answered;
        }
        Ok(Err(error)) => Error::of(&error).expect("our error lies in reqwest's").to_string(),
        Err(error) => {
            let error: Error = error;
            match error.kind() {
                Kind::Connection | Kind::Protocol => {}
                Kind::Timeout { phase, .. } => {
                    assert!(
                        matches!(phase, Phase::ResponseHeader | Phase::PoolWait | Phase::Connect),
                        "{error}"
                    );
                }
                _ => panic!("{error:?}"),
            }
            error.to_string()
        }
    };
    assert!(
        error.contains(&url) && !error.contains("error sending request"),
        "{error}"
    );
    if error.contains("timed out") {
        Outcome::TimedOut
    } else {
        Outcome::Failed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_over_two_hundred_hosts_with_random_faults_end_in_a_right_answer_or_a_right_error() {
    let _alone = ALONE.lock().await;
    let mut scatter = Scatter::new(85);
    let baseline = Baseline::take();
    let mut hosts = Vec::new();
    for host in 0..HOSTS {
        let connections: Vec<_> = (0..40).map(|_| connection(host, &mut scatter)).collect();
        hosts.push(Script::start(connections).await);
    }
    let client = client();
    let (mut answered, mut timed_out, mut failed) = (0, 0, 0);
    let mut count = |outcome| match outcome {
        Outcome::Answered => answered += 1,
        Outcome::TimedOut => timed_out += 1,
        Outcome::Failed => failed += 1,
    };
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        if running.len() == AT_ONCE {
            count(running.join_next().await.unwrap().unwrap());
        }
        let host = scatter.below(HOSTS);
        let posts = scatter.below(3) == 0;
        running.spawn(ask(client.clone(), hosts[host].url("/"), host, posts));
    }
    running.join_all().await.into_iter().for_each(&mut count);
    assert_eq!(answered + timed_out + failed, REQUESTS);
    // A connection gives three and a half right answers before its fault, in the mean.
    assert!(
        answered > REQUESTS / 2 && failed > 0 && timed_out > 0,
        "{answered}, {failed}, {timed_out}"
    );
    assert_all_gone(&client).await;
    for host in &hosts {
        host.until_open(0).await;
        host.stop().await;
    }
    drop(hosts);
    baseline.assert_no_leak().await;
}
