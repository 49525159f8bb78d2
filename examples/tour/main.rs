//! The tour: what the pools save, and each of the ten services against a server that it starts itself.
//!
//! Every figure is measured in the run. What is shown of a service is checked there: what is not so fails the tour, which says
//! whose it was. `--service NAME` shows one.

mod pools;
mod proof;
mod proofs;
mod tour;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use services::command::{Configuration, Failure, exit};

use crate::proof::Shown;
use crate::proofs::SERVICES;
use crate::tour::Tour;

/// Shows what the pools save, and each of the ten services against a server that it starts itself.
///
/// Ends in seconds, and needs nothing but itself. A name that no service has is answered with all ten.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    configuration: Configuration,
    /// Shows only this service, by its profile's name
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(Flags::parse()).await)
}

async fn run(flags: Flags) -> Result<(), Failure> {
    let tour = Tour {
        configuration: flags.configuration,
    };
    let mut chosen = SERVICES.to_vec();
    if let Some(name) = &flags.service {
        chosen.retain(|service| service.name == name);
        if chosen.is_empty() {
            let names: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
            return Err(format!("no service is called {name:?}; there are {}", names.join(", ")).into());
        }
    } else {
        pools::show(&tour).await?;
        println!("Ten services, each against a server that misbehaves:\n");
    }
    let mut shown = Vec::new();
    for service in chosen {
        let began = Instant::now();
        let progress = tour::progress(service.name);
        let outcome = (service.prove)(&tour, &progress).await;
        progress.finish_and_clear();
        let next = Shown {
            service: service.name,
            took: began.elapsed(),
            outcome,
        };
        println!("{}", next.line());
        shown.push(next);
    }
    println!("\n{}", proof::table(&shown));
    let failed: Vec<&str> = shown
        .iter()
        .filter(|shown| shown.outcome.is_err())
        .map(|shown| shown.service)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not proven: {}", failed.join(", ")).into())
    }
}
