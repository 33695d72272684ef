//! Queues that all VUs share: first in, first out, for the values and for those who wait.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::store::Kept;
use crate::api::common::{Common, Guarded};
use crate::api::{Answer, ApiError, Args, Method, Object, Value, VuContext};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "push", params: &["value"], waits: false },
    Method { name: "pop", params: &["timeout?"], waits: true },
];

/// A queue of a test. There is a permit for each value; whoever has one takes the oldest. A wait that is
/// given up hands its permit on, so no value is lost.
#[derive(Debug)]
pub(in crate::api) struct Queue {
    values: Guarded<VecDeque<Kept>>,
    permits: Semaphore,
}

impl Default for Queue {
    fn default() -> Self {
        Self { values: Guarded::default(), permits: Semaphore::new(0) }
    }
}

impl Queue {
    fn push(&self, value: Kept) {
        self.values.with(|values| values.push_back(value));
        self.permits.add_permits(1);
    }

    /// Waits for a value; nothing after a time.
    async fn pop(&self, timeout: Option<Duration>) -> Option<Kept> {
        let permit = match timeout {
            None => self.permits.acquire().await,
            // With no time to wait, and for values that are there.
            Some(timeout) => match self.permits.try_acquire() {
                Ok(permit) => Ok(permit),
                Err(_) if timeout.is_zero() => return None,
                Err(_) => tokio::time::timeout(timeout, self.permits.acquire()).await.ok()?,
            },
        };
        permit.expect("the semaphore is never closed").forget();
        let value = self.values.with(VecDeque::pop_front);
        Some(value.expect("there is a value for each permit"))
    }

    fn len(&self) -> usize {
        self.values.with(|values| values.len())
    }
}

/// A queue as a script holds it.
pub(super) struct QueueObject {
    pub(super) name: String,
    pub(super) queue: Arc<Queue>,
}

fn common_of(vu: &VuContext) -> &Common {
    &vu.worker.status.common
}

impl QueueObject {
    fn push(&self, vu: &VuContext, args: &mut Args) -> Result<Answer, ApiError> {
        let value = args.take(0);
        if matches!(value, Value::Nil) {
            return Err(args.wrong(0, "a value", &value));
        }
        let value = Kept::new(&args.call, &value)?;
        common_of(vu).room.take(vu, &args.call, value.bytes())?;
        vu.lend(value.bytes() as isize);
        self.queue.push(value);
        Ok(Answer::Now(Value::Nil))
    }
}

impl Object for QueueObject {
    fn type_name(&self) -> &'static str {
        "queue"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok((field == "length").then(|| (self.queue.len() as u64).into()))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["length"]
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        if method.name == "push" {
            return self.push(vu, &mut args);
        }
        let timeout = args.optional_duration(0)?;
        let (queue, vu) = (Arc::clone(&self.queue), Rc::clone(vu));
        Ok(Answer::Wait(Box::pin(async move {
            Ok(queue.pop(timeout).await.map_or(Value::Nil, |value| {
                common_of(&vu).room.give_back(value.bytes());
                value.value()
            }))
        })))
    }

    fn describe(&self) -> String {
        format!("<queue \"{}\">", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixture::simulate;

    fn kept(value: i64) -> Kept {
        Kept::new("queue.push", &Value::Int(value)).unwrap()
    }

    #[test]
    fn values_come_in_order_and_waits_end() {
        simulate(async {
            let queue = Queue::default();
            assert_eq!(queue.pop(Some(Duration::ZERO)).await, None);
            queue.push(kept(1));
            queue.push(kept(2));
            assert_eq!(queue.len(), 2);
            assert_eq!(queue.pop(Some(Duration::ZERO)).await, Some(kept(1)));
            assert_eq!(queue.pop(None).await, Some(kept(2)));
            assert_eq!(queue.pop(Some(Duration::from_secs(5))).await, None);
        });
    }

    #[test]
    fn those_who_wait_are_served_in_order_and_no_value_is_lost_with_one_who_gives_up() {
        simulate(async {
            let queue = Rc::new(Queue::default());
            let wait = || {
                let queue = Rc::clone(&queue);
                tokio::task::spawn_local(async move { queue.pop(None).await })
            };
            let (first, second, third) = (wait(), wait(), wait());
            tokio::task::yield_now().await;
            queue.push(kept(1));
            // The first one has its permit by now, and goes away with it.
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            // Nobody passes those who wait.
            assert_eq!(queue.pop(Some(Duration::ZERO)).await, None);
            queue.push(kept(2));
            assert_eq!(second.await.unwrap(), Some(kept(1)));
            assert_eq!(third.await.unwrap(), Some(kept(2)));
            assert_eq!(queue.len(), 0);
        });
    }

    #[test]
    fn values_pass_between_threads() {
        let queue = Queue::default();
        let sum = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        simulate(async {
                            let mut sum = 0;
                            loop {
                                match queue.pop(None).await.unwrap().value() {
                                    Value::Int(0) => break sum,
                                    Value::Int(value) => sum += value,
                                    other => panic!("{other:?}"),
                                }
                            }
                        })
                    })
                })
                .collect();
            (1..=1000).for_each(|value| queue.push(kept(value)));
            (0..3).for_each(|_| queue.push(kept(0)));
            takers.into_iter().map(|taker| taker.join().unwrap()).sum::<i64>()
        });
        assert_eq!((sum, queue.len()), (500_500, 0));
    }
}
