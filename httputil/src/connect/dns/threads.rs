//! A few threads of our own for `getaddrinfo`.
//!
//! It cannot be cancelled, and takes half a minute where nobody answers. On tokio's blocking threads it would keep a
//! runtime from shutting down, and without a bound fill all 512 of them. These threads belong to the process: they hold
//! up nothing that ends, and end themselves when there has been nothing to do for a while.
//!
//! Eight names are looked up at a time. A name that has waited in line for a second, behind look-ups that hang, gets a
//! thread of its own, up to 64: a broken zone must not keep the others waiting.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Look-ups at once while all goes well.
const USUAL: usize = 8;
/// Look-ups at once while some hang.
const MOST: usize = 64;
/// A job that has waited for so long does not wait for a thread to come free.
pub(super) const PRESSES_AFTER: Duration = Duration::from_secs(1);
/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(super) struct Threads(Arc<Shared>);

struct Shared {
    line: Mutex<Line>,
    work: Condvar,
    idle_for: Duration,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<(Instant, Job)>,
    threads: usize,
    idle: usize,
}

impl Threads {
    pub(super) fn new() -> Threads {
        Threads::ending_after(IDLE)
    }

    fn ending_after(idle_for: Duration) -> Threads {
        Threads(Arc::new(Shared {
            line: Mutex::default(),
            work: Condvar::new(),
            idle_for,
        }))
    }

    /// Runs the job on one of the threads, soon. A job that panics harms itself only. Where no thread is there and none
    /// can be started, it is dropped.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut line = self.0.lock();
        line.jobs.push_back((Instant::now(), Box::new(job)));
        if line.idle >= line.jobs.len() {
            self.0.work.notify_one();
        } else if line.threads < USUAL && self.start(&mut line).is_err() && line.threads == 0 {
            let job = line.jobs.pop_back();
            // What it does when it is dropped is not done under the lock.
            drop(line);
            drop(job);
        }
    }

    /// Somebody still waits: if the first in line has waited for long, it gets a thread beyond the usual.
    pub(super) fn press(&self) {
        let mut line = self.0.lock();
        let is_late = line
            .jobs
            .front()
            .is_some_and(|(since, _)| since.elapsed() >= PRESSES_AFTER);
        if is_late && line.idle == 0 && line.threads < MOST {
            // If it cannot be started, the line moves as before.
            let _ = self.start(&mut line);
        }
    }

    fn start(&self, line: &mut Line) -> std::io::Result<()> {
        let shared = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("httputil-dns".to_owned())
            .spawn(move || shared.work())?;
        line.threads += 1;
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut line = self.lock();
        loop {
            if let Some((_, job)) = line.jobs.pop_front() {
                drop(line);
                let _ = std::panic::catch_unwind(AssertUnwindSafe(job));
                line = self.lock();
            } else if line.threads > USUAL {
                break;
            } else {
                line.idle += 1;
                let waited = self.work.wait_timeout(line, self.idle_for);
                let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                line = woken;
                line.idle -= 1;
                if waited.timed_out() && line.jobs.is_empty() {
                    break;
                }
            }
        }
        line.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "waited for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Jobs that hang until told; what is received says that one has begun.
    fn hang(threads: &Threads, many: usize) -> (Vec<mpsc::Sender<()>>, mpsc::Receiver<usize>) {
        let (begun, has_begun) = mpsc::channel();
        let ends = (0..many).map(|number| {
            let (end, is_over) = mpsc::channel::<()>();
            let begun = begun.clone();
            let job = move || {
                let _ = begun.send(number);
                let _ = is_over.recv();
            };
            threads.run(job);
            end
        });
        (ends.collect(), has_begun)
    }

    #[test]
    fn no_more_than_eight_jobs_run_at_once() {
        let threads = Threads::new();
        let (ends, begun) = hang(&threads, 20);
        let first: Vec<usize> = (0..USUAL).map(|_| begun.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(threads.0.lock().threads, USUAL);
        assert_eq!(threads.0.lock().jobs.len(), 20 - USUAL);
        assert!(begun.try_recv().is_err());
        assert!(first.iter().all(|number| *number < USUAL), "first come, first served");
        drop(ends);
        assert_eq!(begun.iter().take(20 - USUAL).count(), 20 - USUAL);
    }

    #[test]
    fn a_job_that_waits_behind_jobs_that_hang_gets_a_thread_of_its_own() {
        let threads = Threads::new();
        let (_ends, begun) = hang(&threads, USUAL);
        assert_eq!(begun.iter().take(USUAL).count(), USUAL);
        let (done, is_done) = mpsc::channel();
        threads.run(move || done.send(()).unwrap());
        threads.press();
        assert_eq!(threads.0.lock().threads, USUAL, "it has not waited for long");
        threads.0.lock().jobs[0].0 -= PRESSES_AFTER;
        threads.press();
        is_done.recv_timeout(PATIENCE).expect("it runs beside them");
        until("the thread beyond the usual to end", || {
            threads.0.lock().threads == USUAL
        });
    }

    #[test]
    fn threads_without_work_end() {
        let threads = Threads::ending_after(Duration::from_millis(10));
        let (ends, begun) = hang(&threads, 3);
        drop(ends);
        assert_eq!(begun.iter().take(3).count(), 3);
        until("the threads to end", || threads.0.lock().threads == 0);
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let threads = Threads::new();
        threads.run(|| panic!("as a test wants"));
        let (done, is_done) = mpsc::channel();
        threads.run(move || done.send(()).unwrap());
        is_done.recv_timeout(PATIENCE).expect("the next job runs");
    }
}
