//! What the pool costs alone: a checkout and a check-in, with one host and with very many, and what reaping, reading
//! statistics and a million host names do to it.
//!
//! `cargo bench -p httputil --bench pool --features bench-internals` counts instructions under callgrind as `requests`
//! does: for a few and for many rounds, and the difference is what one costs. It fails if a round allocates, costs more
//! instructions than [`ROUND`], or more than twice as many with many hosts or connections, or if memory grows with the
//! number of host names. Times are printed and judged by nobody.

use std::alloc::System;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use httputil::__bench::Pool;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most instructions that a checkout and a check-in may take.
const ROUND: u64 = 1700;
const FEW: usize = 2_000;
const MANY: usize = 12_000;

/// Hosts, and idle connections to each.
const SCALES: [(usize, usize); 3] = [(1, 1), (10_000, 1), (1_000, 100)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    if let ["rounds", hosts, idle, rounds] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let hosts = hosts.parse().unwrap();
        return rounds_over(&Pool::new(hosts, idle.parse().unwrap()), hosts, rounds.parse().unwrap());
    }
    allocations();
    times();
    instructions();
    stalls();
    host_names();
}

/// Goes round all hosts, in an order that no cache can guess.
fn rounds_over(pool: &Pool, hosts: usize, rounds: usize) {
    for round in 0..rounds {
        black_box(pool).round(round.wrapping_mul(7919) % hosts);
    }
}

fn allocations() {
    let pool = Pool::new(1, 1);
    rounds_over(&pool, 1, 10);
    let region = Region::new(ALLOCATOR);
    rounds_over(&pool, 1, 1000);
    let allocations = region.change().allocations;
    println!("checkout and check-in, uncontended, without the peek: {allocations} allocations in 1000");
    assert_eq!(allocations, 0, "a checkout or a check-in allocates");
}

fn times() {
    for (hosts, idle) in SCALES {
        let pool = Pool::new(hosts, idle);
        let mut took: Vec<Duration> = (0..9)
            .map(|_| {
                let began = Instant::now();
                rounds_over(&pool, hosts, 100_000);
                began.elapsed() / 100_000
            })
            .collect();
        took.sort_unstable();
        println!(
            "  {:>6} hosts, {:>6} idle: {:>4} ns",
            hosts,
            hosts * idle,
            took[4].as_nanos()
        );
    }
}

fn instructions() {
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return println!("instructions: not measured, valgrind is not installed");
    }
    let costs = SCALES.map(|(hosts, idle)| {
        let count = |rounds: usize| -> u64 {
            let output = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(std::env::current_exe().unwrap())
                .args(["rounds", &hosts.to_string(), &idle.to_string(), &rounds.to_string()])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().find(|line| line.contains("Collected :"));
            let line = line.unwrap_or_else(|| panic!("{said}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let cost = (count(MANY) - count(FEW)) / (MANY - FEW) as u64;
        println!("  {:>6} hosts, {:>6} idle: {cost:>4} instructions", hosts, hosts * idle);
        cost
    });
    assert!(
        costs[0] <= ROUND,
        "a checkout and a check-in cost {} instructions",
        costs[0]
    );
    for cost in costs {
        assert!(cost <= 2 * costs[0], "the cost grows with hosts or connections");
    }
}

/// How long checkouts are held up by others that need the lock.
fn stalls() {
    let (times, longest) = Pool::new(1_000, 100).reap();
    println!("reaping 100000 due connections: {times} times under the lock, {longest:?} at most");

    let pool = Pool::new(1_000, 100);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                black_box(pool.statistics());
                reads += 1;
            }
            reads
        });
        let began = Instant::now();
        rounds_over(&pool, 1_000, 200_000);
        let round = began.elapsed() / 200_000;
        is_over.store(true, Ordering::Relaxed);
        let reads = reader.join().unwrap();
        println!(
            "beside {reads} readings of 1000 hosts' statistics: {} ns",
            round.as_nanos()
        );
    });
}

fn host_names() {
    let pool = Pool::new(0, 0);
    let region = Region::new(ALLOCATOR);
    let live = |names: std::ops::Range<usize>| {
        for number in names {
            pool.meet(number);
        }
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    let (few, many) = (live(0..10_000), live(10_000..1_000_000));
    println!("live bytes after 10000 host names {few}, after 1000000 {many}");
    assert!(many <= few + few / 4, "memory grows with the number of host names");
}
