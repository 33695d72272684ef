//! Barriers: VUs wait for each other until so many are there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::{Answer, ApiError, Args, Method, Object, Value, VuContext};

pub(in crate::api) const METHODS: &[Method] =
    &[Method { name: "wait", params: &["timeout?"], waits: true }];

/// A barrier of a test. It serves round after round.
#[derive(Debug)]
pub(in crate::api) struct Barrier {
    /// How many wait for each other.
    size: u64,
    round: watch::Sender<Round>,
}

/// Those who wait now.
#[derive(Debug, Default)]
struct Round {
    number: u64,
    waiting: u64,
}

impl Barrier {
    /// Returns a barrier for so many.
    pub(super) fn new(size: u64) -> Self {
        Self { size, round: watch::Sender::default() }
    }

    /// Returns for how many it is.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Waits until all are there. Whoever stops waiting is not counted any more.
    async fn pass(&self) {
        let mut rounds = self.round.subscribe();
        let mut joined = 0;
        self.round.send_if_modified(|round| {
            joined = round.number;
            round.waiting += 1;
            let complete = round.waiting >= self.size;
            if complete {
                *round = Round { number: round.number + 1, waiting: 0 };
            }
            complete
        });
        let place = Place { barrier: self, joined };
        let passed = rounds.wait_for(|round| round.number != joined).await;
        debug_assert!(passed.is_ok(), "the sender lives as long as this");
        drop(passed);
        drop(place);
    }

    /// Waits until all are there, at most for a time; returns whether they were.
    async fn wait(&self, timeout: Option<Duration>) -> bool {
        match timeout {
            None => {
                self.pass().await;
                true
            }
            Some(timeout) => tokio::time::timeout(timeout, self.pass()).await.is_ok(),
        }
    }
}

/// A place among those who wait.
struct Place<'a> {
    barrier: &'a Barrier,
    /// The number of the round that it is in.
    joined: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.barrier.round.send_if_modified(|round| {
            if round.number == self.joined {
                round.waiting -= 1;
            }
            false
        });
    }
}

/// A barrier as a script holds it.
pub(super) struct BarrierObject {
    pub(super) name: String,
    pub(super) barrier: Arc<Barrier>,
}

impl Object for BarrierObject {
    fn type_name(&self) -> &'static str {
        "barrier"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "size" => Some(self.barrier.size.into()),
            "waiting" => Some(self.barrier.round.borrow().waiting.into()),
            _ => None,
        })
    }

    fn fields(&self) -> &'static [&'static str] {
        &["size", "waiting"]
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        _: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let timeout = args.optional_duration(0)?;
        let barrier = Arc::clone(&self.barrier);
        Ok(Answer::Wait(Box::pin(async move { Ok(Value::Bool(barrier.wait(timeout).await)) })))
    }

    fn describe(&self) -> String {
        format!("<barrier \"{}\" of {}>", self.name, self.barrier.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixture::simulate;

    #[test]
    fn all_pass_when_the_last_one_comes_round_after_round() {
        simulate(async {
            let barrier = Rc::new(Barrier::new(3));
            for round in 1..=3 {
                let wait = || {
                    let barrier = Rc::clone(&barrier);
                    tokio::task::spawn_local(async move { barrier.wait(None).await })
                };
                let (one, two) = (wait(), wait());
                tokio::task::yield_now().await;
                assert_eq!(barrier.round.borrow().waiting, 2);
                assert!(!one.is_finished() && !two.is_finished());
                assert!(barrier.wait(None).await);
                assert!(one.await.unwrap() && two.await.unwrap());
                assert_eq!(barrier.round.borrow().number, round);
                assert_eq!(barrier.round.borrow().waiting, 0);
            }
        });
    }

    #[test]
    fn whoever_gives_up_is_not_waited_with() {
        simulate(async {
            let barrier = Barrier::new(2);
            assert!(!barrier.wait(Some(Duration::from_secs(1))).await);
            assert_eq!(barrier.round.borrow().waiting, 0);
            // Given up before it was polled to its end.
            let mut gone = Box::pin(barrier.wait(None));
            let once = tokio::time::timeout(Duration::ZERO, &mut gone).await;
            assert!(once.is_err());
            assert_eq!(barrier.round.borrow().waiting, 1);
            drop(gone);
            assert_eq!(barrier.round.borrow().waiting, 0);
            let (one, two) = tokio::join!(barrier.wait(None), barrier.wait(None));
            assert!(one && two);
            assert!(Barrier::new(1).wait(Some(Duration::ZERO)).await, "alone");
        });
    }

    #[test]
    fn vus_of_several_threads_meet() {
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    simulate(async {
                        for _ in 0..100 {
                            barrier.wait(None).await;
                        }
                    });
                });
            }
        });
        assert_eq!(barrier.round.borrow().number, 100);
    }
}
