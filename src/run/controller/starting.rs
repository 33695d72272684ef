//! The start of a run: workers started, `setup` run, VUs prepared; and what follows if it ends there.

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::super::START_LIMIT;
use super::super::backstage::{Backstage, Ended};
use super::super::stop::Stopped;
use super::super::watch::Watching;
use super::{Controller, Worker};
use crate::api::{Phase, Value};
use crate::clock;
use crate::output::Outcome;
use crate::plan::Share;
use crate::script::Argument;
use crate::units;
use crate::worker::{self, Assignment, Command, Message};

impl Controller<'_> {
    /// Starts workers, runs `setup`, and prepares the VUs. `Err(None)`: end at once.
    pub(super) async fn start(&mut self, backstage: &mut Backstage) -> Result<(), Option<Outcome>> {
        self.spawn_workers().map_err(|error| {
            Some(Stopped::Defect(format!("a worker cannot be started: {error}")).outcome())
        })?;
        if !self.wait_for_all(|message| matches!(message, Message::Ready)).await {
            return Err(None);
        }
        if self.stopped.is_some() {
            return Ok(());
        }
        let data = if self.plan.setup { self.setup(backstage).await } else { Value::Nil };
        if self.stopped.is_some() {
            return Ok(());
        }
        self.set_up = true;
        if let Err(error) = backstage.set_data(&data) {
            self.script_failed("setup()'s result", error);
            return Ok(());
        }
        self.setup_data = Arc::new(data.to_json());
        self.command(&Command::Prepare(Arc::clone(&self.setup_data)));
        if !self.wait_for_all(|message| matches!(message, Message::Prepared)).await {
            return Err(None);
        }
        Ok(())
    }

    fn spawn_workers(&mut self) -> std::io::Result<()> {
        let count = self.plan.workers;
        for index in 0..count {
            let (commands, orders) = unbounded_channel();
            let assignment = Assignment {
                share: Share { index: index as u64, count: count as u64 },
                plan: Arc::clone(&self.plan),
                program: Arc::clone(&self.test.program),
                registry: Arc::clone(&self.test.registry),
                status: Arc::clone(&self.status),
                lingers: self.watching.is_some(),
                tag_versions: self.watching.as_ref().is_some_and(|watching| watching.tag_versions),
                live: self.watching.as_ref().is_some_and(Watching::is_live),
            };
            let thread = worker::spawn(assignment, orders, self.outbox.clone())?;
            self.workers.push(Worker { commands, thread, ended: false });
        }
        Ok(())
    }

    /// Waits until each worker has sent an answer, or the run is stopped. False: end at once.
    async fn wait_for_all(&mut self, is_answer: fn(&Message) -> bool) -> bool {
        let mut answers = 0;
        let limit = clock::now() + START_LIMIT;
        while answers < self.workers.len() && self.stopped.is_none() {
            tokio::select! {
                message = self.inbox.recv() => {
                    let Some((index, message)) = message else { return false };
                    if is_answer(&message) { answers += 1 } else { self.receive(index, message) }
                }
                count = self.signals.next() => {
                    if !self.signal(count) { return false }
                }
                () = tokio::time::sleep_until(limit) => {
                    let limit = units::format_duration(START_LIMIT);
                    let message = format!("the VUs were not ready within {limit}");
                    self.stopped = Some(Stopped::Defect(message));
                }
            }
        }
        true
    }

    async fn setup(&mut self, backstage: &mut Backstage) -> Value {
        if !backstage.has("setup") {
            return Value::Nil;
        }
        self.observer.phase("setup");
        let limit = self.plan.setup_timeout;
        let ended = self.backstage(backstage, Phase::Setup, "setup", Argument::None, limit).await;
        match ended {
            Ended::Done(value) => return value,
            Ended::Failed(error) => self.script_failed("setup()", error),
            Ended::TimedOut => {
                self.stop(Stopped::SetupTimeout(units::format_duration(limit)));
            }
            Ended::Stopped if self.signal_count > 0 => self.stop(Stopped::Interrupted),
            Ended::Stopped => {}
        }
        Value::Nil
    }

    /// Ends a test whose scenarios have not begun. VUs that were prepared say goodbye before
    /// `teardown`. False: end at once.
    pub(super) async fn dismiss(&mut self) -> bool {
        self.command(&Command::Cut);
        // Until set-up is through no VU has run anything that must be undone.
        while self.set_up && self.workers.iter().any(|worker| !worker.ended) {
            tokio::select! {
                biased;
                count = self.signals.next() => {
                    if !self.signal(count) { return false }
                }
                message = self.inbox.recv() => {
                    let Some((index, message)) = message else { return false };
                    self.receive(index, message);
                }
            }
        }
        for (index, scenario) in self.plan.scenarios.iter().enumerate() {
            let promised = scenario.executor.iterations_promised().unwrap_or(0);
            self.scenarios.drop_promised(index, promised);
            self.population.record_dropped(index, promised);
        }
        true
    }
}
