//! Feeds: which row comes next, for a VU or over all VUs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;

use super::RowsObject;
use super::rows::Rows;
use crate::api::{
    Answer, ApiError, Args, Event, Method, Object, Phase, Stop, Value, VuContext, unknown_name,
};

pub(in crate::api) const METHODS: &[Method] = &[Method { name: "next", params: &[], waits: false }];

/// The ways of a feed.
const WAYS: &[&str] = &["sequential", "random", "unique", "per_vu"];

/// Hands out rows.
pub(super) struct Feed {
    rows: Arc<Rows>,
    way: Way,
}

/// Which row comes next.
enum Way {
    /// The next one of all VUs, the first again after the last.
    Sequential(Arc<AtomicU64>),
    /// Any one, by the VU's random numbers.
    Random,
    /// The next one of all VUs; none after the last.
    Unique(Arc<AtomicU64>),
    /// The VU's own next one: VU 1 begins with the first row, VU 2 with the second.
    PerVu(Cell<u64>),
}

/// `data.feed(rows, way, { name = ..., wrap = ... })`
pub(super) fn feed(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let rows = args.object::<RowsObject>(0, "rows, from data.csv for one")?;
    let rows = Arc::clone(&rows.0);
    let way = args.text(1)?;
    let way = way.to_str();
    if !WAYS.contains(&&*way) {
        return Err(ApiError::usage(unknown_name(&args.call, "way", &way, WAYS)));
    }
    let mut options = args.fields(2, &["name", "wrap"])?;
    let name = options.text("name")?;
    let wrap = options.bool("wrap")?;
    if wrap.is_some() && way != "unique" {
        let problem = format!("`wrap` is for unique feeds; a {way} one never runs out");
        return Err(ApiError::usage(format!("{}: {problem}", options.place)));
    }
    if rows.len() == 0 {
        return Err(ApiError::usage(format!("{}: {} has no rows", args.call, rows.name())));
    }
    if vu.phase.get() != Phase::Load {
        return Err(ApiError::usage(format!(
            "{}: feeds are made while the script loads: move this to its top level",
            args.call
        )));
    }
    let position = |kind: &str| {
        let name = name.as_ref().map(|name| name.to_str()).unwrap_or_default();
        // Those that hand out every row once have one position per name, whatever the script calls
        // the feed; the id comes last since it may hold anything.
        let key = format!("{kind} {name:?} {}", rows.id());
        vu.worker
            .status
            .common
            .feeds
            .get(&key, AtomicU64::default)
            .map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))
    };
    let way = match &*way {
        "sequential" => Way::Sequential(position("sequential")?),
        "unique" if wrap == Some(true) => Way::Sequential(position("unique")?),
        "unique" => Way::Unique(position("unique")?),
        "random" => Way::Random,
        _ => Way::PerVu(Cell::new(0)),
    };
    Ok(Value::object(Feed { rows, way }))
}

impl Feed {
    /// Returns the next row's place.
    fn next(&self, vu: &VuContext) -> Result<usize, ApiError> {
        let length = self.rows.len() as u64;
        let place = match &self.way {
            Way::Sequential(position) => position.fetch_add(1, Ordering::Relaxed) % length,
            Way::Random => vu.random().random_range(0..length),
            Way::Unique(position) => {
                let place = position.fetch_add(1, Ordering::Relaxed);
                if place >= length {
                    return Err(self.run_out(vu));
                }
                place
            }
            Way::PerVu(taken) => {
                let own = taken.get();
                taken.set(own + 1);
                (vu.id.saturating_sub(1) + own) % length
            }
        };
        Ok(place as usize)
    }

    /// Ends the scenario, since there are no more rows; elsewhere it is an error.
    fn run_out(&self, vu: &VuContext) -> ApiError {
        let (name, count) = (self.rows.name(), self.rows.len());
        let problem = format!("all {count} rows of {name} have been handed out");
        match &*vu.scenario.borrow() {
            Some(scenario) if vu.phase.get() == Phase::Iteration => {
                if scenario.life.end.now() {
                    let why = format!("scenario \"{}\" ends: {problem}", scenario.name);
                    let scenario = scenario.index;
                    (vu.worker.events)(Event::EndScenario { scenario, why });
                }
                vu.interrupt.stop(Stop::RanOut);
                ApiError::usage(problem)
            }
            _ => ApiError::usage(format!(
                "feed.next: {problem}; give the feed more rows, or make it with wrap = true"
            )),
        }
    }
}

impl Object for Feed {
    fn type_name(&self) -> &'static str {
        "feed"
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        _: &'static Method,
        _: Args,
    ) -> Result<Answer, ApiError> {
        crate::api::kingtide::not_while_loading(vu, "rows cannot be taken")?;
        let place = self.next(vu)?;
        Ok(Answer::Now(self.rows.get(place)))
    }

    fn describe(&self) -> String {
        format!("<feed of {}>", self.rows.name())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Naming;
    use super::*;
    use crate::api::fixture::{message, method, vu};

    fn rows(count: i64) -> Value {
        let naming = Naming { id: "test".to_owned(), name: "numbers".to_owned() };
        let values: Vec<Value> = (0..count).map(Value::Int).collect();
        Value::object(RowsObject(Arc::new(Rows::values(naming, &values).unwrap())))
    }

    /// Makes a feed as the script's top level does.
    fn make(vu: &Rc<VuContext>, values: Vec<Value>) -> Result<Value, ApiError> {
        let phase = vu.phase.replace(Phase::Load);
        let made = feed(vu, Args::new("data.feed", &["rows", "way", "options?"], values));
        vu.phase.set(phase);
        made
    }

    fn take(vu: &Rc<VuContext>, feed: &Value, count: usize) -> Vec<i64> {
        let one = || match method(vu, feed, "next", Vec::new()).unwrap() {
            Value::Int(row) => row,
            other => panic!("{other:?}"),
        };
        std::iter::repeat_with(one).take(count).collect()
    }

    #[test]
    fn a_sequential_feed_begins_anew_after_the_last_row_and_all_vus_share_it() {
        let vu = vu(1);
        let one = make(&vu, vec![rows(3), "sequential".into()]).unwrap();
        let same = make(&vu, vec![rows(3), "sequential".into()]).unwrap();
        let options = crate::api::fixture::map([("name", "other".into())]);
        let other = make(&vu, vec![rows(3), "sequential".into(), options]).unwrap();
        assert_eq!(take(&vu, &one, 2), [0, 1]);
        assert_eq!(take(&vu, &same, 2), [2, 0]);
        assert_eq!(take(&vu, &other, 1), [0]);
    }

    #[test]
    fn a_feed_per_vu_begins_with_the_row_of_the_vu() {
        let first = vu(1);
        let third = VuContext::new(Rc::clone(&first.worker), 3, 3);
        let way = || "per_vu".into();
        let (one, other) = (
            make(&first, vec![rows(4), way()]).unwrap(),
            make(&third, vec![rows(4), way()]).unwrap(),
        );
        third.phase.set(Phase::Iteration);
        assert_eq!(take(&first, &one, 5), [0, 1, 2, 3, 0]);
        assert_eq!(take(&third, &other, 3), [2, 3, 0]);
    }

    #[test]
    fn a_random_feed_repeats_with_the_seed_and_leaves_out_no_row() {
        let seen = |seed| {
            let vu = vu(seed);
            let feed = make(&vu, vec![rows(10), "random".into()]).unwrap();
            take(&vu, &feed, 200)
        };
        assert_eq!(seen(1), seen(1));
        assert_ne!(seen(1), seen(2));
        assert!((0..10).all(|row| seen(1).contains(&row)));
    }

    #[test]
    fn a_unique_feed_hands_out_each_row_once_and_goes_on_only_if_told() {
        let vu = vu(1);
        let feed = make(&vu, vec![rows(2), "unique".into()]).unwrap();
        assert_eq!(take(&vu, &feed, 2), [0, 1]);
        vu.phase.set(Phase::Setup);
        assert_eq!(
            message(method(&vu, &feed, "next", Vec::new())),
            "feed.next: all 2 rows of numbers have been handed out; give the feed more rows, or \
             make it with wrap = true"
        );
        assert_eq!(vu.interrupt.why(), None);
        let wrap = crate::api::fixture::map([("wrap", true.into())]);
        let feed = make(&vu, vec![rows(2), "unique".into(), wrap]).unwrap();
        assert_eq!(take(&vu, &feed, 3), [1, 0, 1], "one more was asked for in vain");
    }
}
