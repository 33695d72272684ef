//! What a failed call throws in a script: an error that keeps its kind through `try` and `throw`.

use std::rc::Rc;

use rhai::{Dynamic, Engine, EvalAltResult, Position};

use super::Thrown;
use crate::api::ApiError;

/// A call's error as a script's value: `catch (e) { e.message; e.kind }`.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The error.
    pub(super) error: Rc<ApiError>,
    /// Whether a module could not be loaded.
    pub(super) load: bool,
}

#[expect(clippy::unnecessary_box_returns, reason = "Rhai hands errors on in boxes")]
impl Failure {
    /// Returns the Rhai error that throws `error`.
    pub(super) fn raise(error: ApiError, position: Position) -> Thrown {
        Self { error: Rc::new(error), load: false }.throw(position)
    }

    /// Returns the Rhai error of a module that cannot be loaded.
    pub(super) fn load(message: impl Into<String>, position: Position) -> Thrown {
        Self { error: Rc::new(ApiError::usage(message)), load: true }.throw(position)
    }

    fn throw(self, position: Position) -> Thrown {
        Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(self), position))
    }
}

/// Registers the type with what scripts may read of it.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Failure>("error");
    engine.register_get("message", |failure: &mut Failure| failure.error.message.clone());
    engine.register_get("kind", |failure: &mut Failure| failure.error.kind.as_str());
    for name in ["to_string", "print", "to_debug", "debug"] {
        engine.register_fn(name, |failure: &mut Failure| failure.error.message.clone());
    }
}
