//! What `for message in socket:messages()` goes over.

use std::rc::Rc;
use std::time::Duration;

use super::socket::{ScriptSocket, as_it_is};
use crate::api::{Answer, ApiError, Args, Method, Object, VuContext};

pub(in crate::api) const METHODS: &[Method] =
    &[Method { name: "next", params: &["..."], waits: true }];

/// The messages of a socket, as they come: until it ends, or none came for too long.
pub(super) struct Messages {
    pub(super) socket: Rc<ScriptSocket>,
    /// Nothing: for ever.
    pub(super) patience: Option<Duration>,
}

impl Object for Messages {
    fn type_name(&self) -> &'static str {
        "messages"
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
        Rc::clone(&self.socket).receive(vu, self.patience, as_it_is)
    }
}
