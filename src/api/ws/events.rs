//! What `ws.run` is made of: what happens next on a socket, or is due.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::socket::ScriptSocket;
use super::{queue_full, socket_at};
use crate::api::{ApiError, Args, Map, Object, Value, VuContext, Wait};
use crate::clock::{self, Instant};
use crate::protocol::ws::{Arrival, Kind};

/// The shortest period: a script that only waits for its timer should still be heard.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// A socket's events, timers included.
struct Events {
    socket: Rc<ScriptSocket>,
    timers: RefCell<Vec<Timer>>,
}

/// What `every` or `after` asks for.
struct Timer {
    due: Instant,
    /// Nothing for what happens once.
    period: Option<Duration>,
    /// The script's number of it, from 1.
    number: usize,
}

/// Begins; timers are numbered from 1, those of `every` first.
pub(super) fn begin(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let socket = socket_at(&mut args, 0)?;
    let now = clock::now();
    let every = times(&mut args, 1, "every")?.into_iter().map(|time| (time, true));
    let after = times(&mut args, 2, "after")?.into_iter().map(|time| (time, false));
    let mut timers = Vec::new();
    for (number, (time, repeats)) in (1..).zip(every.chain(after)) {
        if repeats && time < PERIOD_MIN {
            return Err(ApiError::usage("ws.run: `every`: a period must be at least 1 ms"));
        }
        let due = now.checked_add(time).unwrap_or(now);
        timers.push(Timer { due, period: repeats.then_some(time), number });
    }
    if let Some(socket) = socket.socket() {
        socket.listen(args.take(3).is_truthy(), args.take(4).is_truthy());
    }
    Ok(Value::object(Events { socket, timers: RefCell::new(timers) }))
}

/// Reads a list of durations.
fn times(args: &mut Args, index: usize, name: &str) -> Result<Vec<Duration>, ApiError> {
    let list = match args.take(index) {
        Value::Nil | Value::Null => Vec::new(),
        Value::List(list) => list,
        Value::Map(map) if map.is_empty() => Vec::new(),
        other => return Err(args.wrong(index, "a list of durations", &other)),
    };
    let place = format!("ws.run: `{name}`");
    list.into_iter()
        .map(|time| Args::new(place.clone(), &["time"], vec![time]).duration(0))
        .collect()
}

/// Waits for what happens next: a table with `kind`, and what belongs to it.
pub(super) fn next(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let events = args.object::<Events>(0, "events")?;
    let vu = Rc::clone(vu);
    Ok(Box::pin(async move { events.next(&vu).await }))
}

impl Events {
    async fn next(&self, vu: &Rc<VuContext>) -> Result<Value, ApiError> {
        let Some(socket) = self.socket.socket() else { return Ok(event("close", Value::Nil)) };
        loop {
            // Timers first: a flood of messages must not silence them.
            let wait = match self.due() {
                Ok(number) => return Ok(event("timer", Value::Int(number as i64))),
                Err(wait) => wait,
            };
            let arrival = tokio::select! {
                biased;
                arrival = socket.arrival(0) => arrival,
                () = elapse(vu, wait) => continue,
            };
            match arrival {
                Arrival::Message(_) => {
                    let Some(message) = socket.take() else { continue };
                    let kind = match message.kind {
                        Kind::Text | Kind::Binary => "message",
                        Kind::Ping => "ping",
                        Kind::Pong => "pong",
                    };
                    let data = if kind == "message" {
                        self.socket.hand_out(message)
                    } else {
                        Value::Bytes(message.data)
                    };
                    return Ok(event(kind, data));
                }
                Arrival::Ended => return Ok(event("close", Value::Nil)),
                // The first message is taken whatever it is, so that there is room.
                Arrival::Full => return Err(queue_full("ws.run", vu)),
            }
        }
    }

    /// Returns the number of a timer that is due; otherwise how long it is until one is.
    fn due(&self) -> Result<usize, Option<Duration>> {
        let mut timers = self.timers.borrow_mut();
        let Some(first) = (0..timers.len()).min_by_key(|at| timers[*at].due) else {
            return Err(None);
        };
        let now = clock::now();
        let timer = &mut timers[first];
        if timer.due > now {
            return Err(Some(timer.due - now));
        }
        let number = timer.number;
        match timer.period {
            // Its own schedule goes on; what was missed while a handler waited is left out.
            Some(period) => {
                let missed = (now - timer.due).as_nanos() / period.as_nanos().max(1);
                let steps = u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1;
                timer.due += period.saturating_mul(steps);
            }
            None => drop(timers.remove(first)),
        }
        Ok(number)
    }
}

async fn elapse(vu: &VuContext, time: Option<Duration>) {
    match time {
        Some(time) => vu.http.elapse(time).await,
        None => std::future::pending().await,
    }
}

fn event(kind: &str, data: Value) -> Value {
    let mut event = Map::new();
    event.push("kind", kind);
    event.push("data", data);
    Value::Map(event)
}

impl Object for Events {
    fn type_name(&self) -> &'static str {
        "events"
    }
}
