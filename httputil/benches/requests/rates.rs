//! Requests per second. The clients take turns, so that what disturbs the machine disturbs them alike.

use crate::Server;
use crate::clients::{Client, HTTPUTIL, REQWEST, TOWER, runtime, time};

const ROUNDS: usize = 21;
const REQUESTS: usize = 3200;

/// Prints the medians, and the median of the ratios of each round; says where we are slower than reqwest.
pub(crate) fn compare(server: &Server) -> Vec<String> {
    println!("requests per second, medians of {ROUNDS} rounds in turns (ratio to reqwest's)");
    let mut missed = Vec::new();
    let runtime = runtime();
    for (protocol, url) in &server.urls {
        for concurrency in [1, 16, 64] {
            let names = [REQWEST, HTTPUTIL, TOWER];
            let clients = names.map(|who| Client::new(who, &server.ca, concurrency));
            let mut rates = [const { Vec::new() }; 3];
            for round in 0..=ROUNDS {
                for turn in 0..3 {
                    // Nobody always goes first.
                    let who = (round + turn) % 3;
                    let took = runtime.block_on(time(&clients[who], url, REQUESTS, concurrency));
                    rates[who].push(REQUESTS as f64 / took.as_secs_f64());
                }
            }
            // The first round dials and warms up.
            let rates = rates.map(|rates| rates[1..].to_vec());
            print!("  {protocol:8} concurrency {concurrency:>2}");
            for (name, own) in names.iter().zip(&rates) {
                let ratio = median(own.iter().zip(&rates[0]).map(|(ours, theirs)| ours / theirs));
                print!("   {name} {:>7.0} ({ratio:.2})", median(own.iter().copied()));
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
