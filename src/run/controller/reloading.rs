//! New versions of the test, taken over while it runs.

use std::sync::Arc;
use std::time::Duration;

use super::super::Reload;
use super::super::backstage::Backstage;
use super::super::stop::Stopped;
use super::super::thresholds::Thresholds;
use super::super::watch::{News, Order};
use super::{Controller, Test};
use crate::api::{Event, Value};
use crate::clock::{self, Instant};
use crate::output::ReloadResult;
use crate::plan::{Revised, revise};
use crate::worker::{Command, Revision};

/// From the word to change to the moment from which changed rates hold: all workers have heard it
/// by then, though a script keeps them from listening.
const LEAD: Duration = Duration::from_millis(150);

impl Controller<'_> {
    /// Acts on what the watch tells.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Compiled(test, events, saved) => {
                for event in events {
                    self.event(event);
                }
                self.reload(*test, saved);
            }
            News::Refused(refusal) => self.observer.reload(&Reload::Refused(&refusal)),
            News::Mended => self.observer.reload(&Reload::Mended),
            News::Order(Order::Pause(paused)) => self.command(&Command::Pause(paused)),
            News::Order(Order::End) => {
                self.stop(Stopped::Interrupted);
                self.command(&Command::Cut);
            }
        }
    }

    /// Goes on as a new version.
    fn reload(&mut self, mut test: Test, saved: Instant) {
        if self.stopped.is_some() || self.threshold_abort.is_some() || self.finishing {
            return;
        }
        let before = self.latest.as_deref().unwrap_or(self.test);
        let standing = |index| self.scenarios.standing(index);
        let Revised { plan, mut changes, mut left, removed } =
            revise(&self.plan, &test.plan, standing);
        if plan.scenarios.len() > self.status.scenarios.len() {
            let message = "more scenarios have joined the test than it can take: start it anew";
            return self.event(Event::Warning(message.to_owned()));
        }
        if !test.program.has_same_text(&before.program) {
            changes.insert(0, "script".to_owned());
        }
        left.extend(self.about_setup(&test));
        test.plan = Arc::new(plan);
        self.plan = Arc::clone(&test.plan);
        let registry = &test.registry;
        self.aggregate.extend(Arc::clone(registry));
        if !test.gates.no_thresholds {
            match Thresholds::new(&self.plan, registry) {
                Ok(thresholds) => {
                    self.aggregate.watch(thresholds.selectors(&self.plan, registry));
                    self.thresholds = thresholds;
                }
                // They were looked at when the version was compiled, but for another plan.
                Err(error) => self.event(Event::Warning(error.to_string())),
            }
        }
        let number = self.reloads.len() as u64 + 1;
        let now = clock::now();
        let at = now + LEAD;
        let starts = self.scenarios.revise(&self.plan, &removed, self.zero, at);
        self.population.revise(&self.plan);
        let revision = Revision {
            number,
            at,
            removed,
            plan: Arc::clone(&test.plan),
            program: Arc::clone(&test.program),
            registry: Arc::clone(registry),
        };
        self.command(&Command::Reload(Arc::new(revision)));
        for (scenario, at) in starts {
            self.command(&Command::StartScenario(scenario, at));
        }
        let at = now.saturating_duration_since(self.zero);
        let took = now.saturating_duration_since(saved);
        let reload = ReloadResult { version: number, at, took, changes, left };
        self.observer.reload(&Reload::Taken(&reload));
        self.reloads.push(reload);
        self.latest = Some(Box::new(test));
    }

    /// Says what a new version's `setup` means for the data that there is.
    fn about_setup(&self, test: &Test) -> Option<String> {
        let before = self.latest.as_deref().unwrap_or(self.test);
        let has = |test: &Test| test.functions.iter().any(|name| name == "setup");
        match (has(before), has(test)) {
            (false, true) => Some("setup() is new and has not run: there is no data".to_owned()),
            (true, false) => Some("setup() is gone: its data stays".to_owned()),
            _ => None,
        }
    }

    /// Puts the newest version in the place of the one that ran set-up, for tear-down and summary.
    pub(super) fn renew(&mut self, backstage: &mut Backstage) {
        let Some(latest) = self.latest.take() else { return };
        let data = Value::from_json(&self.setup_data);
        // The workers and what is counted here have the numbers before.
        let made = self.new_backstage(&latest, self.plan.workers + 2).and_then(|mut made| {
            made.set_data(&data)?;
            Ok(made)
        });
        match made {
            Ok(made) => *backstage = made,
            Err(error) => self.event(Event::Warning(format!(
                "the last version does not load any more, so the first one tears down: {error}"
            ))),
        }
        self.latest = Some(latest);
    }
}
