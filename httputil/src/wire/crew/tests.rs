use std::future::poll_fn;

use hyper::rt::Executor;
use tokio::sync::Notify;

use super::*;

/// Counts its polls, and ends when it is told.
#[derive(Default)]
struct One {
    polls: AtomicUsize,
    is_over: AtomicBool,
    wakers: Mutex<Option<Waker>>,
    has_gone: Notify,
}

impl One {
    fn future(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let one = Arc::clone(self);
        let gone = Gone(Arc::clone(self));
        poll_fn(move |cx| {
            let _ = &gone;
            one.polls.fetch_add(1, Ordering::SeqCst);
            *one.wakers.lock().unwrap() = Some(cx.waker().clone());
            if one.is_over.load(Ordering::SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }

    fn ring(&self) {
        self.wakers.lock().unwrap().as_ref().unwrap().wake_by_ref();
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }
}

struct Gone(Arc<One>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.has_gone.notify_one();
    }
}

/// Whether the watch is over after one poll.
fn poll(watch: &mut Watch) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(watch).poll(&mut cx).is_ready()
}

#[test]
fn only_who_was_rung_for_is_polled_and_the_watch_is_over_with_the_last() {
    let (crew, first, second) = (Crew::default(), Arc::<One>::default(), Arc::<One>::default());
    crew.execute(second.future());
    let mut watch = crew.clone().watch(first.future());
    assert!(!poll(&mut watch));
    assert_eq!((first.polls(), second.polls()), (1, 1));
    second.ring();
    second.ring();
    assert!(!poll(&mut watch) && !poll(&mut watch));
    assert_eq!((first.polls(), second.polls()), (1, 2));
    first.end();
    assert!(!poll(&mut watch));
    assert_eq!(Arc::strong_count(&first), 1, "it is dropped when it is through");
    // Its waker outlives it.
    first.ring();
    assert!(!poll(&mut watch));
    second.end();
    assert!(poll(&mut watch));
}

#[test]
fn a_later_future_takes_the_room_of_one_that_is_through() {
    let (crew, first) = (Crew::default(), Arc::<One>::default());
    let mut watch = crew.clone().watch(first.future());
    for _ in 0..100 {
        let next = Arc::<One>::default();
        crew.execute(next.future());
        assert!(!poll(&mut watch));
        next.end();
        assert!(!poll(&mut watch));
    }
    assert_eq!((watch.seats.len(), watch.crew.0.lock().spare.len()), (2, 1));
    let more: Vec<Arc<One>> = (0..10).map(|_| Arc::default()).collect();
    for one in &more {
        crew.execute(one.future());
    }
    assert!(!poll(&mut watch));
    for one in &more {
        one.end();
    }
    assert!(!poll(&mut watch));
    assert_eq!(watch.crew.0.lock().spare.len(), MOST_SPARE);
}

#[test]
fn one_that_panics_takes_nobody_along() {
    let (crew, first) = (Crew::default(), Arc::<One>::default());
    let mut watch = crew.clone().watch(first.future());
    crew.execute(async { panic!("as it must") });
    assert!(!poll(&mut watch));
    let next = Arc::<One>::default();
    crew.execute(next.future());
    assert!(!poll(&mut watch));
    assert_eq!((first.polls(), next.polls()), (1, 1));
}

#[test]
fn what_comes_after_the_end_is_dropped_and_so_is_what_was_there() {
    let crew = Crew::default();
    let all: [Arc<One>; 3] = Default::default();
    let mut watch = crew.clone().watch(all[0].future());
    assert!(!poll(&mut watch));
    crew.execute(all[1].future());
    drop(watch);
    crew.execute(all[2].future());
    assert!(all.iter().all(|one| Arc::strong_count(one) == 1));
    all[0].ring();
}

#[tokio::test]
async fn a_future_that_rings_for_itself_without_end_leaves_others_their_turn() {
    let crew = Crew::default();
    let busy = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let task = tokio::spawn(crew.watch(busy));
    // The runtime has one thread.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_ring_from_another_thread_is_heard_and_beside_an_upload_a_future_has_a_task_of_its_own() {
    let (crew, first, second) = (Crew::default(), Arc::<One>::default(), Arc::<One>::default());
    let watch = tokio::spawn(crew.clone().watch(first.future()));
    let upload = crew.upload();
    crew.execute(second.future());
    drop(upload);
    while second.polls() == 0 || first.polls() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(crew.0.lock().come.is_empty());
    for one in [&second, &first] {
        let one = Arc::clone(one);
        std::thread::spawn(move || one.end()).join().unwrap();
    }
    second.has_gone.notified().await;
    first.has_gone.notified().await;
    watch.await.unwrap();
}
