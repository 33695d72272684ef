//! What was expected, what was reported, and how far apart they may be.

use std::fmt::Write as _;
use std::sync::PoisonError;

use crate::floor::{Floor, Noise};

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    what: String,
    expected: f64,
    reported: f64,
    /// How far they may be apart, in the figure's unit.
    room: f64,
}

impl Row {
    /// Returns a figure that may be off by `room`.
    pub(crate) fn new(what: impl Into<String>, expected: f64, reported: f64, room: f64) -> Self {
        Self { what: what.into(), expected, reported, room }
    }

    /// Returns a figure that may be off by a share of what is expected.
    pub(crate) fn share(what: impl Into<String>, expected: f64, reported: f64, share: f64) -> Self {
        Self::new(what, expected, reported, expected.abs() * share)
    }

    /// Returns a figure that must be right to the unit.
    pub(crate) fn exact(what: impl Into<String>, expected: u64, reported: u64) -> Self {
        Self::new(what, expected as f64, reported as f64, 0.0)
    }

    fn holds(&self) -> bool {
        (self.reported - self.expected).abs() <= self.room
    }
}

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) rows: Vec<Row>,
    /// What the machine did meanwhile that has nothing to do with kingtide.
    pub(crate) noise: Noise,
}

/// Times the room of figures that no attempt could take undisturbed: errors of a kind still show,
/// and milliseconds that other processes took do not fail a build.
const DISTURBED_ROOM: f64 = 10.0;

impl Finding {
    pub(crate) fn new(rows: Vec<Row>, floor: &Floor) -> Self {
        Self { rows, noise: floor.noise() }
    }

    /// Returns whether all figures are as near as they must be.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// Gives the figures of a disturbed machine more room; what is exact stays so.
    fn widened(mut self) -> Self {
        if self.noise.disturbs() {
            self.rows.iter_mut().for_each(|row| row.room *= DISTURBED_ROOM);
        }
        self
    }

    /// Asserts that all figures hold.
    #[track_caller]
    pub(crate) fn assert(self) {
        let finding = self.widened();
        assert!(finding.holds(), "({:?})\n{}", finding.noise, finding.table());
    }

    /// Returns the rows as a table.
    pub(crate) fn table(&self) -> String {
        let mut text =
            "| figure | expected | reported | off | room |  |\n|---|---:|---:|---:|---:|---|\n"
                .to_owned();
        for row in &self.rows {
            let Row { what, expected, reported, room } = row;
            let mark = if row.holds() { "" } else { "WRONG" };
            let off = reported - expected;
            writeln!(
                text,
                "| {what} | {expected:.3} | {reported:.3} | {off:+.3} | {room:.3} | {mark} |"
            )
            .expect("a text takes all");
        }
        text
    }
}

/// Measures, again if the machine was disturbed; at most three times.
///
/// What other processes do to a run says nothing about kingtide. That they did something is judged by
/// what the system says of their CPU time and by another client's measurements, not by kingtide's.
pub(crate) fn undisturbed(mut measure: impl FnMut() -> Finding) -> Finding {
    let mut finding = measure();
    for _ in 0..2 {
        if finding.holds() || !finding.noise.disturbs() {
            break;
        }
        finding = measure();
    }
    finding
}

/// Measures on a machine that does nothing else for this suite, and asserts that all figures hold.
#[track_caller]
pub(crate) fn assert_true(measure: impl FnMut() -> Finding) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    undisturbed(measure).assert();
}

/// Tests that measure hold it alone, the others together.
#[expect(clippy::disallowed_types, reason = "these are tests, and no worker's threads")]
static MACHINE: std::sync::RwLock<()> = std::sync::RwLock::new(());

/// Keeps tests that measure from beginning meanwhile.
pub(crate) fn beside_others() -> std::sync::RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the value of rank ⌈p · count / 100⌉.
pub(crate) fn percentile(sorted: &[f64], p: f64) -> f64 {
    let rank = (p.next_down() * sorted.len() as f64 / 100.0).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Sorts figures.
pub(crate) fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// Returns the distance of Kolmogorov and Smirnov between samples and a distribution.
pub(crate) fn distance_from(sorted: &[f64], distribution: impl Fn(f64) -> f64) -> f64 {
    let count = sorted.len() as f64;
    let distances = sorted.iter().enumerate().map(|(below, &sample)| {
        let share = distribution(sample);
        (share - below as f64 / count).abs().max(((below + 1) as f64 / count - share).abs())
    });
    distances.fold(0.0, f64::max)
}
