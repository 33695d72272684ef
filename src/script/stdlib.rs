//! The standard library: modules that are written in the script languages, once in each, and shipped
//! inside the binary. Their sources lie in `stdlib/luau` and `stdlib/rhai`.

use std::collections::BTreeMap;

use super::Language;

/// A module in both languages.
struct Shipped {
    name: &'static str,
    luau: &'static str,
    rhai: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            luau: include_str!(concat!("../../stdlib/luau/", $name, ".luau")),
            rhai: include_str!(concat!("../../stdlib/rhai/", $name, ".rhai")),
        }),*]
    };
}

const MODULES: &[Shipped] = shipped!["ethereum", "fake", "postgrest", "profiles", "slo", "solana"];

/// Returns the modules of a language: their sources by name.
pub(super) fn sources(language: Language) -> BTreeMap<&'static str, &'static str> {
    let source = |module: &Shipped| match language {
        Language::Luau => module.luau,
        Language::Rhai => module.rhai,
    };
    MODULES.iter().map(|module| (module.name, source(module))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::plan::{Isolation, ScriptLimits};
    use crate::script::testing::{TestWorker, begin, program};
    use crate::script::{Argument, Host, ScriptError};

    /// Returns the error that a script's iteration ends with.
    fn failure(name: &str, text: &str) -> ScriptError {
        let worker = TestWorker::new(ScriptLimits::default(), Isolation::Shared);
        let host = Host::new(program(name, text, Path::new(".")), &worker.context).unwrap();
        let vu = worker.vu(1);
        let mut instance = host.instance(&vu).unwrap();
        begin(&vu);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(instance.call("iteration", Argument::Data)).unwrap_err()
    }

    /// Returns the functions that a source offers.
    fn offered(source: &str, before: &str) -> BTreeSet<String> {
        let lines = source.lines().filter_map(|line| line.strip_prefix(before));
        lines.filter_map(|line| line.split('(').next()).map(str::to_owned).collect()
    }

    #[test]
    fn both_languages_offer_the_same() {
        for Shipped { name, luau, rhai } in MODULES {
            let one = offered(luau, &format!("function {name}."));
            assert!(one.len() > 3, "{name}: {one:?}");
            assert_eq!(one, offered(rhai, "fn "), "{name}");
            assert!(luau.starts_with("--!strict\n-- "), "{name}.luau says what it is for");
            assert!(rhai.starts_with("// "), "{name}.rhai says what it is for");
        }
    }

    #[test]
    fn every_function_is_documented_and_no_other() {
        let document = include_str!("../../docs/stdlib.md");
        for Shipped { name, luau, .. } in MODULES {
            let heading = format!("\n## {name}\n");
            let (_, text) = document.split_once(&heading).unwrap_or_else(|| panic!("no {heading}"));
            let text = text.split("\n## ").next().unwrap_or_default();
            let rows = text.lines().filter(|line| line.starts_with("| `"));
            let told: BTreeSet<String> = rows
                .filter_map(|row| row.split('|').nth(1))
                .flat_map(|cell| cell.split('`').skip(1).step_by(2))
                .map(str::to_owned)
                .collect();
            assert_eq!(offered(luau, &format!("function {name}.")), told, "docs/stdlib.md, {name}");
        }
    }

    #[test]
    fn errors_of_shipped_modules_name_the_author_s_line() {
        for (call, message) in [
            ("vus: 1, rate: 1", "profiles.load: base: give `vus` or `rate`, not both"),
            // What a native function raises inside of the module.
            (
                "vus: 1, duration: true",
                "time.duration: argument 1 (text) must be a string, got a boolean",
            ),
        ] {
            let luau = format!(
                "local profiles = require('@kingtide/profiles')\nlocal function plan()\n  \
                 profiles.load({{ {} }})\nend\nreturn {{ iteration = function()\n  plan()\nend }}",
                call.replace(':', " =")
            );
            let rhai = format!(
                "import \"kingtide/profiles\" as profiles;\nfn plan() {{\n  \
                 profiles::load(#{{ {call} }});\n}}\n\nfn iteration() {{ plan(); }}"
            );
            for (name, text) in [("trial.luau", luau), ("trial.rhai", rhai)] {
                let error = failure(name, &text);
                assert_eq!(error.message.replace("::", "."), message);
                let place = error.location.unwrap();
                assert_eq!((place.file.as_str(), place.line), (name, 3), "{name}: {message}");
                assert_eq!(error.function, "plan");
                assert_eq!(error.stack.len(), 2, "{:?}", error.stack);
            }
        }
    }

    #[test]
    fn names_that_a_shipped_module_does_not_have_are_errors() {
        let luau = "local p = require('@kingtide/profiles')\nreturn { iteration = function() p.smke() end }";
        let rhai = "import \"kingtide/profiles\" as p;\nfn iteration() { p::smke(); }";
        let near = "kingtide/profiles has no function `smke`, did you mean `smoke`?";
        assert_eq!(failure("a.luau", luau).message, near);
        assert_eq!(failure("a.rhai", rhai).message.replace('"', ""), near);
        let hidden = "import \"kingtide/profiles\" as p;\nfn iteration() { p::ramping(); }";
        let said = failure("a.rhai", hidden).message;
        assert!(said.ends_with("has no function `ramping`"), "{said}");
        let luau = "local p = require('@kingtide/profiles')\nreturn { iteration = function() p.x = 1 end }";
        let said = failure("a.luau", luau).message;
        assert!(said.starts_with("attempt to modify a read-only table"), "{said}");
    }
}
