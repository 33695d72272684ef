//! Names that nothing has, and what the author may have meant by them.

use super::CAPTURE;
use super::border::BOUND;
use super::explain::{Explain, Text};
use super::library::Defined;
use super::native::{arguments, import_name};
use super::value::readable_type;
use crate::units;

impl Explain<'_> {
    /// Explains a function that is not there, or takes other arguments.
    pub(super) fn no_function(&self, signature: &str) -> Text {
        let (name, kinds) = signature.split_once(" (").unwrap_or((signature, ""));
        let kinds = kinds.strip_suffix(')').unwrap_or(kinds);
        let count = if kinds.is_empty() { 0 } else { kinds.split(", ").count() };
        if let Some((namespace, name)) = name.rsplit_once("::") {
            return self.no_qualified_function(namespace, name, count);
        }
        if let Some(message) = self.library.missed(name) {
            return Text::script(message);
        }
        if name.starts_with("anon$") || name == BOUND {
            return Text::script(format!(
                "this function was called with {}, which is not what it takes",
                arguments(count)
            ));
        }
        let functions = self.functions();
        if let Some(known) = functions.iter().find(|known| known.name == name) {
            return Text::script(format!(
                "`{name}` takes {}, got {count}",
                arguments(known.params)
            ));
        }
        if kinds == "()" || kinds.starts_with("(), ") {
            return Text::script(format!("cannot call `{name}` of nothing: it is given `()`"));
        }
        let readable: Vec<&str> = kinds.split(", ").map(readable_type).collect();
        let names = functions.iter().map(|known| known.name.as_str());
        let natives = self.offered(name);
        let text = Text::script(match units::nearest(name, names) {
            Some(near) => format!("unknown function `{name}`, did you mean `{near}`?"),
            None if count > 0 => {
                format!("there is no function `{name}` for ({})", readable.join(", "))
            }
            None => format!("unknown function `{name}`"),
        });
        match natives {
            Some(full) => text.with_help(format!("write `{full}(…)`")),
            None => text,
        }
    }

    /// Returns how a native function of this name is called.
    fn offered(&self, name: &str) -> Option<String> {
        self.library.tables.iter().find_map(|module| {
            let known = module.functions.iter().any(|function| function.name == name);
            let alias = if module.name.is_empty() { "kt" } else { module.name };
            (known && !name.starts_with('_')).then(|| format!("{alias}::{name}"))
        })
    }

    fn no_qualified_function(&self, namespace: &str, name: &str, count: usize) -> Text {
        let (alias, inner) = namespace.split_once("::").unwrap_or((namespace, ""));
        let import = self.global.and_then(|global| {
            global.iter_imports().find(|(known, _)| *known == alias).map(|(_, module)| module)
        });
        let id = import.and_then(rhai::Module::id).unwrap_or(alias);
        if let Some(table) = self.library.table(id) {
            let prefix = if inner.is_empty() { String::new() } else { format!("{inner}.") };
            let known = table.functions.iter().filter(|function| !function.name.starts_with('_'));
            if let Some(function) =
                known.clone().find(|function| function.name == format!("{prefix}{name}"))
            {
                return Text::script(format!(
                    "{namespace}::{name} takes ({}), got {}",
                    function.params.join(", "),
                    arguments(count)
                ));
            }
            let names = known.filter_map(|function| function.name.strip_prefix(&prefix));
            return Text::script(match units::nearest(name, names) {
                Some(near) => format!(
                    "{} has no function `{name}`, did you mean `{near}`?",
                    import_name(table)
                ),
                None => format!("{} has no function `{name}`", import_name(table)),
            });
        }
        let mut functions =
            self.library.file(id).map(|file| file.functions.clone()).unwrap_or_default();
        functions.retain(|known| !known.private);
        if let Some(known) = functions.iter().find(|known| known.name == name) {
            return Text::script(format!(
                "{namespace}::{name} takes {}, got {count}",
                arguments(known.params)
            ));
        }
        let names = functions.iter().map(|known| known.name.as_str());
        Text::script(match units::nearest(name, names) {
            Some(near) => format!("\"{id}\" has no function `{name}`, did you mean `{near}`?"),
            None => format!("\"{id}\" has no function `{name}`"),
        })
    }

    /// Explains a variable that is not there.
    pub(super) fn no_variable(&self, name: &str) -> Text {
        if let Some((namespace, variable)) = name.rsplit_once("::") {
            return self.no_module_variable(namespace, variable);
        }
        let text = Text::script(format!("unknown variable `{name}`"));
        if self.constants().iter().any(|constant| constant == name) {
            return Text::script(format!("unknown variable `{name}` in a function")).with_help(
                format!("`{name}` is a constant of the script: write `global::{name}`"),
            );
        }
        let is_import =
            self.global.is_some_and(|global| global.iter_imports().any(|(alias, _)| alias == name));
        if is_import {
            return text.with_help(format!(
                "`{name}` is a module: write `{name}::function(…)`, with `::` instead of `.`"
            ));
        }
        if let Some(module) = self.module_of_alias(name) {
            return text.with_help(format!(
                "add `import \"{module}\" as {name};` at the top and write `{name}::function(…)`"
            ));
        }
        let is_top_level = self.library.file(self.entry).is_some_and(|file| {
            file.text.lines().any(|line| {
                line.strip_prefix("let ")
                    .and_then(|rest| rest.trim_start().strip_prefix(name))
                    .is_some_and(|rest| {
                        !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                    })
            })
        });
        if is_top_level && self.global.is_some() {
            return text.with_help(format!(
                "functions do not see variables of the top level; declare it with `const {name} = \
                 …;` and write `global::{name}`"
            ));
        }
        text
    }

    fn no_module_variable(&self, namespace: &str, variable: &str) -> Text {
        if namespace == "global" {
            let constants = self.constants();
            return Text::script(
                match units::nearest(variable, constants.iter().map(String::as_str)) {
                    Some(near) => {
                        format!("the script has no constant `{variable}`, did you mean `{near}`?")
                    }
                    None => format!("the script has no constant `{variable}`"),
                },
            );
        }
        let table = self
            .global
            .and_then(|global| global.iter_imports().find(|(alias, _)| *alias == namespace))
            .and_then(|(_, module)| module.id())
            .and_then(|id| self.library.table(id));
        let Some(table) = table else {
            return Text::script(format!("unknown variable `{namespace}::{variable}`"));
        };
        let known = table.constants.iter().map(|constant| constant.name);
        let name = import_name(table);
        Text::script(match units::nearest(variable, known) {
            Some(near) => format!("\"{name}\" has no `{variable}`, did you mean `{near}`?"),
            None => format!("\"{name}\" has no `{variable}`"),
        })
    }

    /// Explains a module that is not there.
    pub(super) fn no_module(&self, name: &str) -> Text {
        let alias = name.split("::").next().unwrap_or(name);
        let text = Text::script(format!("unknown module `{alias}`"));
        match self.module_of_alias(alias) {
            Some(module) => {
                text.with_help(format!("add `import \"{module}\" as {alias};` at the top"))
            }
            None => text,
        }
    }

    /// Returns the module that an author means by a usual alias.
    fn module_of_alias(&self, alias: &str) -> Option<String> {
        if matches!(alias, "kt" | "kingtide") {
            return Some("kingtide".to_owned());
        }
        let name = format!("kingtide/{alias}");
        self.library.names().any(|known| known == name).then_some(name)
    }

    fn functions(&self) -> Vec<Defined> {
        let file = self.library.file(self.entry);
        let mut functions = file.map(|file| file.functions.clone()).unwrap_or_default();
        functions.retain(|known| known.name != CAPTURE && !known.name.starts_with("anon$"));
        functions
    }

    fn constants(&self) -> Vec<String> {
        let constants = self.global.and_then(|global| global.constants.as_ref());
        constants.map_or_else(Vec::new, |constants| {
            constants.borrow().keys().map(ToString::to_string).collect()
        })
    }
}
