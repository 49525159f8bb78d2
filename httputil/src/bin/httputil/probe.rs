//! `httputil probe`: two requests, and where their time goes.

use std::fmt::Write;
use std::time::Duration;

use http::Method;
use httputil::{Client, Registry, Timings};
use serde_json::{Value as Json, json};

use crate::args::ProbeArgs;
use crate::certificate::{Certificate, harmless};
use crate::json::pretty;
use crate::output::Outcome;
use crate::source::SourceArgs;

/// More of an answer is not read, so that a probe of something large ends.
const MUCH: usize = 1 << 20;

/// How wide the longest phase is drawn.
const WIDTH: u32 = 40;

pub(crate) fn run(args: &ProbeArgs, source: &SourceArgs) -> Result<Outcome, Outcome> {
    let method = Method::from_bytes(args.method.as_bytes()).map_err(|_| {
        Outcome::failed(format_args!(
            "--method {:?} is no method; write one such as HEAD",
            args.method
        ))
    })?;
    let config = source.load()?;
    config.profile(&args.profile).map_err(Outcome::failed)?;
    let registry = Registry::builder()
        .config(config)
        .tls_info(true)
        .build()
        .map_err(|error| Outcome::unsound(&error))?;
    let client = registry
        .client(&args.profile)
        .map_err(|error| Outcome::unsound(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Outcome::failed(format_args!("no runtime can be had: {error}")))?;
    let probed: Result<_, String> = runtime.block_on(async {
        let first = ask(&client, &method, &args.url).await?;
        let second = ask(&client, &method, &args.url).await;
        client.stop();
        Ok((first, second))
    });
    let (first, second) = probed.map_err(Outcome::failed)?;
    // The first answer is worth seeing whatever becomes of the second request.
    let said = if args.json {
        pretty(&json!({
            "profile": args.profile,
            "first": first.to_json(),
            "second": second.as_ref().map_or_else(|why| json!({ "error": why }), Seen::to_json),
        }))
    } else {
        in_words(args, &method, &first, &second)
    };
    Ok(match second {
        Ok(_) => Outcome::said(said),
        Err(why) => Outcome::failed(format_args!("the second request: {why}")).and_said(said),
    })
}

/// What a request showed.
struct Seen {
    host: String,
    status: u16,
    timings: Timings,
    /// From the request's beginning to the end of the answer.
    total: Duration,
    bytes: usize,
    is_whole: bool,
}

async fn ask(client: &Client, method: &Method, url: &str) -> Result<Seen, String> {
    // A further attempt would hide what is wrong with this one.
    // Neither would a place that it redirects to, over connections of its own.
    let request = client.request(method.clone(), url).retry(false).max_redirects(0);
    let sent = request.send().await;
    let mut response = sent.map_err(|error| error.to_string())?;
    let timings = response
        .extensions()
        .get::<Timings>()
        .cloned()
        .ok_or_else(|| "the answer tells nothing of its way".to_owned())?;
    let status = response.status().as_u16();
    let host = response.url().origin().ascii_serialization();
    let mut bytes = 0;
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) => break true,
            Err(error) => return Err(format!("the answer's body broke off after {bytes} bytes: {error}")),
        }
        if bytes > MUCH {
            break false;
        }
    };
    Ok(Seen {
        host,
        status,
        total: timings.total(),
        timings,
        bytes,
        is_whole,
    })
}

impl Seen {
    /// The phases in order, as far as there are any.
    fn phases(&self) -> Vec<(&'static str, Duration)> {
        let timings = &self.timings;
        let dialled = [
            ("dns", timings.dns()),
            ("connect", timings.connect()),
            ("proxy", timings.proxy()),
            ("tls", timings.tls()),
        ];
        let spent: Duration = dialled.iter().filter_map(|(_, took)| *took).sum();
        let mut phases: Vec<_> = dialled
            .into_iter()
            .filter_map(|(name, took)| took.map(|took| (name, took)))
            .collect();
        let queue = timings.queue().saturating_sub(spent);
        phases.insert(0, ("wait", queue));
        phases.push(("first byte", timings.first_byte()));
        let known = timings.queue().max(spent) + timings.first_byte();
        phases.push(("body", self.total.saturating_sub(known)));
        phases
    }

    fn to_json(&self) -> Json {
        let timings = &self.timings;
        let seconds = |took: Duration| took.as_secs_f64();
        let phases: serde_json::Map<String, Json> = self
            .phases()
            .into_iter()
            .map(|(name, took)| (name.replace(' ', "_"), json!(seconds(took))))
            .collect();
        let mut json = json!({
            "host": self.host,
            "status": self.status,
            "version": format!("{:?}", timings.version()),
            "remote": timings.remote_addr().map(|address| address.to_string()),
            "connection": timings.connection(),
            "reused": timings.reused(),
            "attempts": timings.attempts(),
            "body_bytes": self.bytes,
            "body_is_whole": self.is_whole,
            "seconds": phases,
            "total_seconds": seconds(self.total),
        });
        if let Some(tls) = timings.tls_info() {
            json["tls"] = json!({
                "version": tls.version.map(|version| format!("{version:?}")),
                "cipher_suite": tls.cipher_suite.map(|suite| format!("{suite:?}")),
                "alpn": tls.alpn.as_ref().map(|alpn| String::from_utf8_lossy(alpn)),
                "resumed": tls.resumed,
                "certificates": tls.certificates.iter()
                    .map(|der| Certificate::read(der).map_or(Json::Null, |certificate| certificate.to_json()))
                    .collect::<Vec<_>>(),
            });
        }
        json
    }
}

fn in_words(args: &ProbeArgs, method: &Method, first: &Seen, second: &Result<Seen, String>) -> String {
    let mut text = format!("{} by profile {}\n", first.host, args.profile);
    text += &heading("first", method, first);
    text += &timeline(first);
    if let Some(remote) = first.timings.remote_addr() {
        _ = writeln!(text, "  answered by {remote}");
    }
    if let Some(tls) = first.timings.tls_info() {
        let version = tls.version.map(|version| format!("{version:?}")).unwrap_or_default();
        let suite = tls.cipher_suite.map(|suite| format!("{suite:?}")).unwrap_or_default();
        let alpn = match &tls.alpn {
            Some(alpn) => format!("ALPN {}", harmless(&String::from_utf8_lossy(alpn))),
            None => "no ALPN".to_owned(),
        };
        _ = writeln!(text, "  {}, {suite}, {alpn}", version.replace('_', "."));
        for (place, der) in tls.certificates.iter().enumerate() {
            let shown = Certificate::read(der).map_or_else(|| "cannot be read\n".to_owned(), |it| it.to_lines());
            _ = write!(text, "  certificate {place}: {shown}");
        }
    }
    if let Ok(second) = second {
        text += &heading("second", method, second);
        text += &timeline(second);
        let (before, now) = (&first.timings, &second.timings);
        text += if now.connection() == before.connection() {
            "  over the same connection: pooled\n"
        } else if !first.is_whole {
            "  over a new connection: the first answer is larger than a probe reads\n"
        } else if now.tls_info().is_some_and(|tls| tls.resumed) {
            "  over a new connection, with the TLS session resumed: the server or pool.* kept the first from being used again\n"
        } else {
            "  over a new connection: the server or pool.* kept the first from being used again\n"
        };
    }
    text
}

fn heading(which: &str, method: &Method, seen: &Seen) -> String {
    let again = match seen.timings.attempts() {
        1 => String::new(),
        attempts => format!(", at attempt {attempts}"),
    };
    let more = if seen.is_whole { "" } else { " and more" };
    format!(
        "{which} request: {method} answered {} over {:?}{again}, {} bytes{more}\n",
        seen.status,
        seen.timings.version(),
        seen.bytes
    )
}

/// The phases one under the other, each drawn where it was in time.
fn timeline(seen: &Seen) -> String {
    let phases = seen.phases();
    let whole: Duration = phases.iter().map(|(_, took)| *took).sum();
    let place = |at: Duration| (at.as_secs_f64() / whole.as_secs_f64().max(f64::EPSILON) * f64::from(WIDTH)).round();
    let mut text = String::new();
    let mut at = Duration::ZERO;
    for (name, took) in phases {
        let (from, to) = (count(place(at)), count(place(at + took)));
        let bar = format!("{}{}", " ".repeat(from), "━".repeat((to - from).max(1)));
        at += took;
        _ = writeln!(text, "  {name:<10} {:>9}  {bar}", in_ms(took));
    }
    text + &format!("  {:<10} {:>9}\n", "total", in_ms(seen.total))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and WIDTH"
)]
fn count(place: f64) -> usize {
    place as usize
}

fn in_ms(took: Duration) -> String {
    format!("{:.2} ms", took.as_secs_f64() * 1000.0)
}
