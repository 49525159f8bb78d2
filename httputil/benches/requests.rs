//! What a pooled request costs beside reqwest's, in one run against one server: instructions, allocations, and requests
//! per second.
//!
//! ```text
//! cargo bench -p httputil --bench requests                     all three
//! cargo bench -p httputil --bench requests -- instructions     or allocations, or rates; several may be named
//! ```
//!
//! The server is a process of its own. Instructions and allocations are exact: above its bound, a client fails the run.
//! Requests per second depend on what else the machine does; only being slower than reqwest fails.

#[path = "requests/clients.rs"]
mod clients;
#[path = "requests/cost.rs"]
mod cost;
#[path = "requests/rates.rs"]
mod rates;
#[path = "requests/server.rs"]
mod server;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve"] => server::serve(),
        ["send", who, url, ca, requests] => clients::send(who, url, ca, requests.parse().unwrap()),
        _ => return measure(&words),
    }
    ExitCode::SUCCESS
}

fn measure(wanted: &[&str]) -> ExitCode {
    let wants = |what| wanted.is_empty() || wanted.contains(&what);
    let server = Server::start();
    let mut missed = Vec::new();
    if wants("instructions") {
        missed.extend(cost::compare(&cost::INSTRUCTIONS, &server));
    }
    if wants("allocations") {
        missed.extend(cost::compare(&cost::ALLOCATIONS, &server));
    }
    if wants("rates") {
        missed.extend(rates::compare(&server));
    }
    for miss in &missed {
        eprintln!("missed: {miss}");
    }
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The server's process, and what it says of itself.
struct Server {
    process: Child,
    /// Protocol and URL.
    urls: Vec<(String, String)>,
    /// The path of its CA.
    ca: String,
}

impl Server {
    fn start() -> Server {
        let process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It is ended by the drop from here on, whatever it says.
        let mut server = Server {
            process,
            urls: Vec::new(),
            ca: String::new(),
        };
        for line in BufReader::new(server.process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (name, value) = line.split_once(' ').unwrap();
            if name == "ca" {
                value.clone_into(&mut server.ca);
                return server;
            }
            server.urls.push((name.to_owned(), value.to_owned()));
        }
        panic!("the server ended before it was ready");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.ca);
    }
}
