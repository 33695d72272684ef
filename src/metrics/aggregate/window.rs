//! The last stretch of a selector's time, for thresholds with `over`.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::stats::Accumulator;
use super::super::{Definition, Stats};

/// Most slots of a window: intervals shorter than this part of it share one.
const SLOTS: u32 = 60;

/// What was recorded in the last `length` before the last tick.
///
/// It reaches back by up to one interval, or one sixtieth of its length, more than that, because it
/// consists of whole intervals.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    slots: VecDeque<Slot>,
    until: Duration,
    merged: Option<Accumulator>,
}

#[derive(Debug)]
struct Slot {
    start: Duration,
    end: Duration,
    value: Accumulator,
}

impl Window {
    /// Returns an empty window.
    pub(super) fn new(length: Duration) -> Self {
        Self { length, slots: VecDeque::new(), until: Duration::ZERO, merged: None }
    }

    /// Enters what was recorded from the last interval's end to `at`.
    pub(super) fn push(&mut self, metric: &Definition, value: Option<Stats<'_>>, at: Duration) {
        let start = std::mem::replace(&mut self.until, at);
        while self.slots.front().is_some_and(|first| first.end + self.length <= at) {
            self.slots.pop_front();
        }
        if let Some(value) = value {
            let width = self.length / SLOTS;
            let shared = self.slots.back_mut();
            if let Some(last) = shared.filter(|last| at.saturating_sub(last.start) <= width) {
                last.value.merge(value);
                last.end = at;
            } else {
                let mut own = Accumulator::new(metric);
                own.merge(value);
                self.slots.push_back(Slot { start, end: at, value: own });
            }
        }
        self.merged = None;
        for slot in &self.slots {
            let merged = self.merged.get_or_insert_with(|| Accumulator::new(metric));
            merged.merge(slot.value.stats(metric));
        }
    }

    /// Returns what the window holds, and the time that it spans.
    pub(super) fn stats<'a>(&'a self, metric: &'a Definition) -> (Option<Stats<'a>>, Duration) {
        let begin = self.until.saturating_sub(self.length);
        let begin = self.slots.front().map_or(begin, |first| first.start.min(begin));
        (self.merged.as_ref().map(|merged| merged.stats(metric)), self.until.saturating_sub(begin))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::super::{Kind, Stat, Unit};
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn counter() -> Definition {
        Definition { name: "c".to_owned(), kind: Kind::Counter, unit: Unit::None }
    }

    fn push(window: &mut Window, count: f64, at: Duration) {
        let value = (count > 0.0).then_some(Stats::Counter { count });
        window.push(&counter(), value, at);
    }

    fn count(window: &Window) -> f64 {
        let metric = counter();
        let (stats, span) = window.stats(&metric);
        stats.map_or(0.0, |stats| stats.stat(Stat::Count, span).unwrap())
    }

    proptest! {
        #[test]
        fn a_window_of_whole_intervals_is_the_sum_of_the_last_of_them(
            counts in vec(0..4u32, 1..60),
            length in 1..20usize,
        ) {
            let mut window = Window::new(seconds(length as u64));
            for (at, &value) in counts.iter().enumerate() {
                push(&mut window, f64::from(value), seconds(at as u64 + 1));
                let first = (at + 1).saturating_sub(length);
                let expected: u32 = counts[first..=at].iter().sum();
                prop_assert_eq!(count(&window), f64::from(expected));
            }
        }
    }

    #[test]
    fn a_long_window_keeps_few_slots_and_reaches_back_a_sixtieth_at_most() {
        let mut window = Window::new(seconds(600));
        for at in 1..=5_000 {
            push(&mut window, 1.0, seconds(at));
            assert!(window.slots.len() <= SLOTS as usize + 1);
            let (_, span) = window.stats(&Definition { ..counter() });
            assert_eq!(count(&window), span.as_secs_f64());
            assert!(span <= seconds(610));
        }
        assert!(count(&window) >= 600.0);
    }

    #[test]
    fn a_trend_forgets_what_left_the_window() {
        let metric = Definition { name: "t".to_owned(), kind: Kind::Trend, unit: Unit::Time };
        let mut window = Window::new(seconds(2));
        for (at, sample) in [(1, 900.0), (2, 1.0), (3, 2.0)] {
            let mut value = Accumulator::new(&metric);
            value.record(sample);
            window.push(&metric, Some(value.stats(&metric)), seconds(at));
        }
        let (stats, span) = window.stats(&metric);
        assert_eq!(stats.unwrap().stat(Stat::Max, span), Some(2.0));
        assert_eq!(stats.unwrap().stat(Stat::Min, span), Some(1.0));
        window.push(&metric, None, seconds(9));
        assert_eq!(window.stats(&metric), (None, seconds(2)));
    }
}
