//! Requests per second. The clients take turns, so that what disturbs the machine disturbs them alike.

use crate::Server;
use crate::clients::{Client, HTTPUTIL, HYPER, REQWEST, TOWER, runtime, time};

const ROUNDS: usize = 21;
const REQUESTS: usize = 3200;

/// Prints the medians, and the median of the ratios of each round; says where we are slower than reqwest.
pub(crate) fn compare(server: &Server) -> Vec<String> {
    println!("requests per second, medians of {ROUNDS} rounds in turns (ratio to reqwest's)");
    let mut missed = Vec::new();
    let runtime = runtime();
    for (protocol, url) in &server.urls {
        // Bare hyper shows what the server and the machine leave to be won.
        let names: &[&str] = match &**protocol {
            "h1" => &[REQWEST, HTTPUTIL, TOWER, HYPER],
            _ => &[REQWEST, HTTPUTIL, TOWER],
        };
        for concurrency in [1, 16, 64] {
            let clients: Vec<Client> = names
                .iter()
                .map(|who| Client::new(who, &server.ca, concurrency))
                .collect();
            let mut rates = vec![Vec::new(); names.len()];
            // The first round dials and warms up.
            for round in 0..=ROUNDS {
                for turn in 0..names.len() {
                    // Nobody always goes first.
                    let who = (round + turn) % names.len();
                    let took = runtime.block_on(time(&clients[who], url, REQUESTS, concurrency));
                    if round > 0 {
                        rates[who].push((round, REQUESTS as f64 / took.as_secs_f64()));
                    }
                }
            }
            print!("  {protocol:8} concurrency {concurrency:>2}");
            for (name, own) in names.iter().zip(&rates) {
                let of_round = |&(round, rate): &(usize, f64)| rate / rates[0][round - 1].1;
                let ratio = median(own.iter().map(of_round));
                print!(
                    "   {name} {:>7.0} ({ratio:.2})",
                    median(own.iter().map(|&(_, rate)| rate))
                );
                if ratio < 1.0 {
                    missed.push(format!(
                        "{protocol} {name}, concurrency {concurrency}: {ratio:.2} times reqwest's rate"
                    ));
                }
            }
            println!();
        }
    }
    missed
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
