//! Rhai's own functions where they need other manners: sizes checked before memory is taken, and
//! nothing that blocks the thread.
//!
//! Rhai measures what a native function returns, not what it is about to make: `s.replace("x", s)`
//! with a long `s` takes gigabytes first. Functions that multiply are replaced here by ones that
//! know the result's size beforehand. `pad` and `blob` of Rhai check by themselves; `+`, `append`
//! and the like only add two values that are within the limits.

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Position};

use super::Thrown;
use super::failure::Failure;
use crate::api::{ApiError, ErrorKind};
use crate::plan::ScriptLimits;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// Registers the functions.
pub(super) fn register(engine: &mut Engine, limits: &ScriptLimits) {
    register_replace(engine, limits.string_bytes);
    register_split(engine, limits.table_entries);
    for name in ["to_debug", "debug"] {
        // Rhai prints what a closure captured, which may hold the closure itself.
        engine.register_fn(name, |function: &mut FnPtr| format!("Fn({})", function.fn_name()));
    }
    engine.register_fn("sleep", |_: i64| no_sleep());
    engine.register_fn("sleep", |_: f64| no_sleep());
}

fn no_sleep() -> Result<()> {
    let message = "Rhai's own sleep() would stop all VUs; write kt::sleep(seconds)";
    Err(Failure::raise(ApiError::usage(message), Position::NONE))
}

fn register_replace(engine: &mut Engine, max: usize) {
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: &str| {
        replace(text, find, with, max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: char| {
        replace(text, find, with.encode_utf8(&mut [0; 4]), max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with, max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: char| {
        replace(text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]), max)
    });
}

fn replace(text: &mut ImmutableString, find: &str, with: &str, max: usize) -> Result<()> {
    if with.len() > find.len() {
        let grows = text.matches(find).count().saturating_mul(with.len() - find.len());
        let size = text.len().saturating_add(grows);
        if size > max {
            return Err(too_large(&format!("replace() would make a string of {size} bytes"), max));
        }
    }
    *text = text.replace(find, with).into();
    Ok(())
}

fn register_split(engine: &mut Engine, max: usize) {
    engine.register_fn("to_chars", move |text: &str| {
        parts(text.chars().count(), max)?;
        Ok::<Array, Box<EvalAltResult>>(text.chars().map(Dynamic::from).collect())
    });
    engine.register_fn("split", move |text: &mut ImmutableString| {
        collect(|| text.split_whitespace(), max)
    });
    engine.register_fn("split", move |text: &mut ImmutableString, by: &str| {
        collect(|| text.split(by), max)
    });
    engine.register_fn("split", move |text: &mut ImmutableString, by: char| {
        collect(|| text.split(by), max)
    });
    engine.register_fn("split", move |text: &mut ImmutableString, by: &str, count: i64| {
        collect(|| text.splitn(at_least_one(count), by), max)
    });
    engine.register_fn("split", move |text: &mut ImmutableString, by: char, count: i64| {
        collect(|| text.splitn(at_least_one(count), by), max)
    });
    engine.register_fn("split_rev", move |text: &mut ImmutableString, by: &str| {
        collect(|| text.rsplit(by), max)
    });
    engine.register_fn("split_rev", move |text: &mut ImmutableString, by: char| {
        collect(|| text.rsplit(by), max)
    });
    engine.register_fn("split_rev", move |text: &mut ImmutableString, by: &str, count: i64| {
        collect(|| text.rsplitn(at_least_one(count), by), max)
    });
    engine.register_fn("split_rev", move |text: &mut ImmutableString, by: char, count: i64| {
        collect(|| text.rsplitn(at_least_one(count), by), max)
    });
}

/// Rhai takes a number of parts below 1 for 1.
fn at_least_one(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0).max(1)
}

fn collect<'a, I: Iterator<Item = &'a str>>(split: impl Fn() -> I, max: usize) -> Result<Array> {
    parts(split().count(), max)?;
    Ok(split().map(Into::into).collect())
}

fn parts(count: usize, max: usize) -> Result<()> {
    if count > max {
        return Err(too_large(&format!("splitting would make an array of {count} elements"), max));
    }
    Ok(())
}

#[expect(clippy::unnecessary_box_returns, reason = "Rhai hands errors on in boxes")]
fn too_large(what: &str, max: usize) -> Thrown {
    let error = ApiError::new(ErrorKind::Size, format!("{what}; the limit is {max}"));
    Failure::raise(error, Position::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ScriptLimits {
        ScriptLimits {
            sockets: 1,
            message_bytes: 1,
            queued_messages: 1,
            memory_bytes: 1 << 20,
            time: std::time::Duration::from_secs(1),
            slice: std::time::Duration::from_millis(5),
            call_depth: 64,
            string_bytes: 100,
            table_entries: 10,
        }
    }

    /// Evaluates an expression with Rhai as it is and with the replaced functions.
    fn both(expression: &str) -> [std::result::Result<String, String>; 2] {
        let mut checked = Engine::new();
        register(&mut checked, &limits());
        [Engine::new(), checked].map(|engine| {
            engine
                .eval::<Dynamic>(expression)
                .map(|value| value.to_string())
                .map_err(|error| error.to_string())
        })
    }

    #[test]
    fn within_the_limits_nothing_changes() {
        for expression in [
            r#"let s = "a-b-c"; s.replace("-", "+"); s"#,
            r#"let s = "a-b-c"; s.replace('-', "::"); s"#,
            r#"let s = "a-b-c"; s.replace("b", 'x'); s"#,
            r#"let s = "a-b-c"; s.replace('b', 'x'); s"#,
            r#"let s = "ab"; s.replace("", "-"); s"#,
            r#""a b  c".split()"#,
            r#""a-b-c".split("-")"#,
            r#""a-b-c".split('-')"#,
            r#""a-b-c".split("-", 2)"#,
            r#""a-b-c".split('-', 0)"#,
            r#""a-b-c".split_rev("-")"#,
            r#""a-b-c".split_rev('-')"#,
            r#""a-b-c".split_rev("-", 2)"#,
            r#""a-b-c".split_rev('-', -1)"#,
            r#""abc".split(1)"#,
            r#""abc".to_chars()"#,
        ] {
            let [plain, checked] = both(expression);
            assert!(plain.is_ok(), "{expression}: {plain:?}");
            assert_eq!(plain, checked, "{expression}");
        }
    }

    #[test]
    fn what_would_be_too_large_is_refused_beforehand() {
        let mut engine = Engine::new();
        register(&mut engine, &limits());
        for expression in [
            r#"let s = "xxxxxxxxxxxxxxxxxxxxxxxxx"; s.replace("x", s); s"#,
            r#""a-a-a-a-a-a-a-a-a-a-a-a".split("-")"#,
            r#""abcdefghijklmnopq".to_chars()"#,
        ] {
            let error = engine.eval::<Dynamic>(expression).unwrap_err();
            let EvalAltResult::ErrorRuntime(value, _) = error.unwrap_inner() else {
                panic!("{expression}: {error}")
            };
            let failure = value.clone().cast::<Failure>();
            assert_eq!(failure.error.kind, ErrorKind::Size, "{expression}");
        }
    }
}
