//! A new version of the test, taken over while it runs.

use std::rc::Rc;
use std::sync::Arc;

use super::life::Worker;
use super::scenario::Part;
use super::{Message, Revision};
use crate::api::Event;
use crate::script::Host;
use crate::vu::Version;

impl Worker {
    /// Changes the scenarios that there are, and lets new ones join.
    fn revise(&self, revision: &Revision) {
        let mut parts = self.parts.borrow_mut();
        for part in &*parts {
            part.revise(revision);
        }
        for index in parts.len()..revision.plan.scenarios.len() {
            let part = Part::new(&self.ground, &revision.plan, self.ground.share, index);
            let part = Rc::new(part);
            parts.push(Rc::clone(&part));
            // Who would start it is gone only at the end.
            let _ended = self.joining.send(part);
        }
    }

    /// Compiles a new version, once for all VUs, and lets them find it before their next iterations.
    pub(super) fn reload(&self, revision: &Revision) {
        let worker = &self.ground.worker;
        let number = revision.number;
        // Its top level looks its metrics up.
        worker.registry.borrow_mut().clone_from(&revision.registry);
        worker.shard.borrow_mut().extend(&revision.registry);
        *worker.data.borrow_mut() = Arc::clone(revision.program.data());
        match Host::new(Rc::new((*revision.program).clone()), worker) {
            Ok(host) => {
                *worker.revised.borrow_mut() = Arc::clone(&revision.plan);
                self.ground.version.replace(Rc::new(Version { number, host }));
                self.revise(revision);
            }
            // It has been compiled before it was sent, so this is a matter of memory.
            Err(error) => self.send(Message::Event(Event::Warning(format!(
                "version {number} cannot be compiled by a worker, which goes on with the last one: \
                 {error}"
            )))),
        }
        self.send(Message::Reloaded(number));
    }
}
