//! What is said of loads that take the place of others: which, by what, and what to do about it.

use crate::plan::{Notice, Plan};

/// Something that whoever typed the command should know.
#[derive(Debug, Clone)]
pub(super) struct Advice {
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

/// Where options come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Script,
    Environment,
    Flags,
}

/// A load that took the place of a weaker source's.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) by: Source,
    pub(super) notice: Notice,
}

impl Source {
    /// Returns an option as it is set there.
    fn option(self, name: &str) -> String {
        match (self, name) {
            (Self::Flags, "stages") => "--stage".to_owned(),
            (Self::Flags, name) => format!("--{name}"),
            (Self::Environment, name) => format!("KINGTIDE_{}", name.to_uppercase()),
            (Self::Script, name) => name.to_owned(),
        }
    }

    /// Returns what sets an option to a value there.
    fn setting(self, name: &str, value: &str) -> String {
        match self {
            Self::Flags => format!("{} {value}", self.option(name)),
            Self::Environment => format!("{}={value}", self.option(name)),
            Self::Script => format!("{name} = {value}"),
        }
    }
}

impl Replacement {
    /// Returns what took the place of the other load, and the verb.
    fn cause(&self) -> String {
        let options: Vec<_> =
            self.notice.set.iter().map(|name| format!("`{}`", self.by.option(name))).collect();
        let verb = if options.len() == 1 { "replaces" } else { "replace" };
        format!("{} {verb}", joined(&options))
    }

    fn leave_out(&self) -> &'static str {
        if self.notice.set.len() == 1 { "leave it out" } else { "leave them out" }
    }

    /// Returns what is lost, with what it said.
    fn lost(&self) -> String {
        let lost = self.notice.replaced.iter().map(|(name, value)| {
            if value.is_empty() { format!("`{name}`") } else { format!("`{name}`: {value}") }
        });
        lost.collect::<Vec<_>>().join("; ")
    }

    /// Returns whether what is lost can be said again where it was replaced.
    fn can_be_kept(&self) -> bool {
        self.notice.replaced.iter().all(|(name, _)| !matches!(*name, "scenarios" | "stages"))
    }

    /// Returns what to say of it when it is known what runs instead.
    pub(super) fn advice(&self, plan: &Plan) -> Advice {
        let lost = self.lost();
        let cause = self.cause();
        if self.by == Source::Script {
            let message = format!("{cause} the whole load of kingtide.toml ({lost})");
            return Advice { message, help: None };
        }
        let now = match plan.scenarios.as_slice() {
            [only] => format!(": now {}", only.executor.describe()),
            _ => String::new(),
        };
        let help = if self.can_be_kept() {
            let again = self.notice.replaced.iter();
            let again = again.map(|(name, value)| self.by.setting(name, value));
            format!("add `{}` to keep what is replaced", again.collect::<Vec<_>>().join(" "))
        } else {
            let out = self.leave_out();
            format!(
                "{out} to run what the test says; what should change from run to run can come from kt.env"
            )
        };
        let message = format!("{cause} the whole load of the test ({lost}){now}");
        Advice { message, help: Some(help) }
    }

    /// Returns why a function is run that the script does not have, if this is why: what to say and
    /// what to do.
    pub(super) fn why_missing(&self, function: &str, known: &[&str]) -> Option<(String, String)> {
        let (_, names) = self.notice.replaced.iter().find(|(name, _)| *name == "scenarios")?;
        let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        let cause = self.cause();
        Some((
            format!(
                "{cause} the scenarios of the test ({names}), and runs `{function}` instead, which the script does \
                 not have; it has {}",
                joined(&known)
            ),
            format!(
                "{} to run the scenarios; what should change from run to run can come from kt.env",
                self.leave_out()
            ),
        ))
    }
}

/// Returns `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
