//! What happens off the workers: `setup`, `teardown` and `summary`, on the controller's thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Phase, Stop, TestStatus, Value, VuContext, WorkerContext};
use crate::metrics::Snapshot;
use crate::script::{Argument, Host, Instance, ScriptError, ScriptErrorKind};

use super::Test;

/// The script's instance for set-up, tear-down and summary: VU 0.
pub(super) struct Backstage {
    /// Under which its figures come, beside those of the workers.
    pub(super) number: usize,
    worker: Rc<WorkerContext>,
    vu: Rc<VuContext>,
    instance: Instance,
    functions: Vec<String>,
}

/// How a phase ended.
pub(super) enum Ended {
    /// With the function's answer; `Nil` if there is no such function.
    Done(Value),
    /// With an error of the script.
    Failed(ScriptError),
    /// Because its time ran out.
    TimedOut,
    /// Because it was stopped: by a signal, or by `kt.abort`.
    Stopped,
}

impl Backstage {
    /// Makes the instance.
    ///
    /// # Errors
    /// If the script's top level fails.
    pub(super) fn new(
        test: &Test,
        number: usize,
        status: Arc<TestStatus>,
        events: Box<dyn Fn(crate::api::Event)>,
    ) -> Result<Self, ScriptError> {
        let plan = Arc::clone(&test.plan);
        let mut worker = super::load::context(&test.program, plan, &test.registry, events)
            .map_err(|error| ScriptError {
                kind: ScriptErrorKind::Load,
                message: error.to_string(),
                location: None,
                function: String::new(),
                stack: Vec::new(),
                help: None,
            })?;
        worker.status = status;
        let worker = Rc::new(worker);
        let host = Host::new(Rc::new((*test.program).clone()), &worker)?;
        let vu = VuContext::new(Rc::clone(&worker), 0, 0);
        let instance = host.instance(&vu)?;
        Ok(Self { number, worker, vu, functions: instance.functions(), instance })
    }

    /// Returns whether the script has a function.
    pub(super) fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|name| name == function)
    }

    /// Gives the script what `setup` returned.
    pub(super) fn set_data(&mut self, data: &Value) -> Result<(), ScriptError> {
        self.instance.set_data(&Rc::new(data.clone()))
    }

    /// Runs a function of the script in a phase, at most for `limit`, or until `cut` resolves.
    pub(super) async fn run(
        &mut self,
        phase: Phase,
        function: &str,
        argument: Argument,
        limit: Duration,
        cut: impl Future<Output = ()>,
    ) -> Ended {
        if !self.has(function) {
            return Ended::Done(Value::Nil);
        }
        self.vu.enter_phase(phase);
        self.vu.interrupt.reset();
        let interrupt = Rc::clone(&self.vu.interrupt);
        let mut timed_out = false;
        let result = {
            let mut call = std::pin::pin!(self.instance.call(function, argument));
            tokio::select! {
                biased;
                result = &mut call => result,
                () = tokio::time::sleep(limit) => {
                    timed_out = true;
                    interrupt.stop(Stop::Cut);
                    call.await
                }
                () = cut => {
                    interrupt.stop(Stop::Cut);
                    call.await
                }
            }
        };
        self.record_bytes();
        match result {
            Ok(value) => Ended::Done(value),
            Err(_) if timed_out => Ended::TimedOut,
            Err(error) if matches!(error.kind, ScriptErrorKind::Stopped(_)) => Ended::Stopped,
            Err(error) => Ended::Failed(error),
        }
    }

    fn record_bytes(&self) {
        let (sent, received) = self.vu.http.take_bytes();
        let mut shard = self.worker.shard.borrow_mut();
        shard.add(crate::metrics::builtin::DATA_SENT, self.vu.tag_set(), sent as f64);
        shard.add(crate::metrics::builtin::DATA_RECEIVED, self.vu.tag_set(), received as f64);
    }

    /// Returns what was recorded since the last time.
    pub(super) fn take(&self) -> Snapshot {
        self.worker.shard.borrow_mut().take()
    }
}
