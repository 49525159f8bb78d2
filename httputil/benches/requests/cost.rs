//! What one pooled request costs, counted by valgrind: the client runs once for a few and once for many requests, and the
//! difference of the two counts is divided by that of the requests. Set-up cancels out.

use std::process::Command;

use crate::Server;
use crate::clients::{HTTPUTIL, HYPER, REQWEST, TOWER};

const FEW: usize = 200;
const MANY: usize = 5200;

/// Something that valgrind counts.
pub(crate) struct Cost {
    what: &'static str,
    tool: &'static [&'static str],
    /// Stands before the number.
    label: &'static str,
    /// What each client may cost over each protocol.
    targets: &'static [Target],
}

struct Target {
    protocol: &'static str,
    client: &'static str,
    /// More than this fails the run: what holds today, and a little air.
    must: Bound,
    /// Where it is to go.
    aim: f64,
}

#[derive(Clone, Copy)]
enum Bound {
    /// Times what reqwest costs.
    Ratio(f64),
    Count(f64),
}

const fn target(protocol: &'static str, client: &'static str, must: Bound, aim: f64) -> Target {
    Target {
        protocol,
        client,
        must,
        aim,
    }
}

pub(crate) const INSTRUCTIONS: Cost = Cost {
    what: "instructions per pooled request",
    tool: &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
    label: "Collected :",
    targets: &[
        // Retries, breaker and redirects, all on by default, cost 0.07; hyper alone, 0.29.
        target("h1", HTTPUTIL, Bound::Ratio(0.50), 0.50),
        // The map that a response's extensions come in costs 0.02: reqwest's door has one anyway.
        target("h1", TOWER, Bound::Ratio(0.505), 0.42),
        // A handshake's cryptography takes millions more or less, theirs or ours: the ratios move by 0.02 from run to run.
        target("h1+tls", HTTPUTIL, Bound::Ratio(0.60), 0.60),
        target("h2+tls", HTTPUTIL, Bound::Ratio(0.75), 0.75),
    ],
};

pub(crate) const ALLOCATIONS: Cost = Cost {
    what: "allocations per pooled request",
    tool: &["--tool=memcheck", "--undef-value-errors=no", "--leak-check=no"],
    label: "total heap usage:",
    targets: &[
        target("h1", HTTPUTIL, Bound::Count(18.0), 25.0),
        target("h1", TOWER, Bound::Count(16.0), 18.0),
    ],
};

/// Prints what each client costs; says which targets were missed.
pub(crate) fn compare(cost: &Cost, server: &Server) -> Vec<String> {
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        println!("{}: not measured, valgrind is not installed", cost.what);
        return Vec::new();
    }
    println!("{} (ratio to reqwest's)", cost.what);
    let mut missed = Vec::new();
    for (protocol, url) in &server.urls {
        let theirs = cost.of(REQWEST, url, &server.ca);
        print!("  {protocol:8} {REQWEST} {theirs:>8.1}");
        let clients: &[&str] = if protocol == "h1" {
            &[HTTPUTIL, TOWER, HYPER]
        } else {
            &[HTTPUTIL, TOWER]
        };
        for client in clients {
            let ours = cost.of(client, url, &server.ca);
            print!("   {client} {ours:>8.1} ({:.2}", ours / theirs);
            if let Some(target) = cost.target(protocol, client) {
                print!(", aim {}", target.aim);
                missed.extend(target.miss(cost.what, ours, theirs));
            }
            print!(")");
        }
        println!();
    }
    missed
}

impl Cost {
    fn of(&self, client: &str, url: &str, ca: &str) -> f64 {
        let difference = self.total(client, url, ca, MANY) - self.total(client, url, ca, FEW);
        difference as f64 / (MANY - FEW) as f64
    }

    fn total(&self, client: &str, url: &str, ca: &str, requests: usize) -> u64 {
        let output = Command::new("valgrind")
            .args(self.tool)
            .arg(std::env::current_exe().unwrap())
            .args(["send", client, url, ca, &requests.to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let number = said
            .lines()
            .find_map(|line| line.split_once(self.label))
            .and_then(|(_, rest)| rest.split_whitespace().next());
        match number.map(|number| number.replace(',', "").parse()) {
            Some(Ok(number)) if output.status.success() => number,
            _ => panic!("{said}"),
        }
    }

    fn target(&self, protocol: &str, client: &str) -> Option<&Target> {
        let is_it = |target: &&Target| target.protocol == protocol && target.client == client;
        self.targets.iter().find(is_it)
    }
}

impl Target {
    fn miss(&self, what: &str, ours: f64, theirs: f64) -> Option<String> {
        let (figure, bound, unit) = match self.must {
            Bound::Ratio(bound) => (ours / theirs, bound, " times reqwest's"),
            Bound::Count(bound) => (ours, bound, ""),
        };
        let Target { protocol, client, .. } = self;
        (figure > bound).then(|| format!("{protocol} {client}: {what}: {figure:.2}{unit}, and not {bound} at most"))
    }
}
