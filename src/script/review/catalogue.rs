//! What modules offer: their tables, and the types that the editors' stubs give to what is in them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::api::{MODULES, Module};
use crate::script::Language;
use crate::script::syntax::tree::{Function, Node, Shape};
use crate::script::{stdlib, stubs};

/// A function, as its caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signature {
    /// Their names and types; `...` for any number of further ones.
    pub(super) params: Vec<(String, Shape)>,
    pub(super) returns: Shape,
}

impl Signature {
    /// Returns the one of a function's type without its own object, if there is one.
    pub(super) fn of(shape: &Shape) -> Option<Self> {
        let Shape::Function { params, returns } = shape else { return None };
        let own = params.first().is_some_and(|(name, _)| name == "self");
        let params = params.iter().skip(usize::from(own)).cloned().collect();
        Some(Self { params, returns: (**returns).clone() })
    }

    /// Returns whether a parameter may be left out.
    pub(super) fn is_optional(shape: &Shape) -> bool {
        match shape {
            Shape::Any | Shape::Optional(_) => true,
            Shape::Name(name) => name == "nil",
            Shape::Union(parts) => parts.iter().any(Self::is_optional),
            _ => false,
        }
    }
}

/// What all stubs say.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    types: BTreeMap<String, Shape>,
    /// By module and name: `("", "log.info")`.
    functions: BTreeMap<(&'static str, String), Signature>,
    values: BTreeMap<(&'static str, String), Shape>,
}

impl Catalogue {
    /// Returns the catalogue.
    pub(super) fn get() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            let mut catalogue = Self::default();
            for (module, nodes) in stubs::parsed() {
                catalogue.add(module, nodes);
            }
            catalogue
        })
    }

    fn add(&mut self, module: &'static str, nodes: Vec<Node>) {
        for node in nodes {
            match node {
                Node::Alias { name, shape, .. } => {
                    self.types.insert(name, shape);
                }
                Node::Set { targets, mut values } => {
                    let Some(name) = targets.first().and_then(stubs::path) else { continue };
                    match values.pop() {
                        Some(Node::Function(function)) => {
                            self.functions.insert((module, name), signature(*function));
                        }
                        Some(Node::Cast { shape, .. }) => {
                            self.values.insert((module, name), shape);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns what a type's name stands for.
    pub(super) fn named(&self, name: &str) -> Option<&Shape> {
        self.types.get(name)
    }

    /// Returns a type without its name, and without nothing as an alternative.
    pub(super) fn resolved<'s>(&'s self, shape: &'s Shape) -> &'s Shape {
        match shape {
            Shape::Name(name) => match self.types.get(name) {
                Some(shape) => self.resolved(shape),
                None => shape,
            },
            Shape::Optional(inner) => self.resolved(inner),
            other => other,
        }
    }

    /// Returns a module's function, if it is there.
    pub(super) fn function(&self, module: &'static str, name: &str) -> Option<&Signature> {
        self.functions.get(&(module, name.to_owned()))
    }

    /// Returns the type of a module's constant.
    pub(super) fn value(&self, module: &'static str, name: &str) -> Option<&Shape> {
        self.values.get(&(module, name.to_owned()))
    }

    /// Returns what a script of a language can name in a module; `log.info` for what lies deeper.
    pub(super) fn names(&self, module: &Module, language: Language) -> Vec<String> {
        let functions = module.functions.iter().map(|function| function.name);
        let constants = module.constants.iter().map(|constant| constant.name);
        let mut names: Vec<String> = functions
            .chain(constants)
            .filter(|name| !name.starts_with('_'))
            .map(str::to_owned)
            .collect();
        if language == Language::Luau {
            // Some are written in Luau, on top of the tables.
            let others = self.functions.keys().filter(|(of, _)| *of == module.name);
            names.extend(others.map(|(_, name)| name.clone()));
        }
        names.sort();
        names.dedup();
        names
    }
}

fn signature(function: Function) -> Signature {
    let params = function.params.into_iter().map(|param| {
        // Luau's own words cannot name parameters.
        let name = param.name.trim_end_matches('_').to_owned();
        (name, param.shape.unwrap_or(Shape::Any))
    });
    Signature { params: params.collect(), returns: function.returns.unwrap_or(Shape::Any) }
}

/// What a script may load under a name.
pub(super) enum Loaded {
    /// A native module.
    Native(&'static Module),
    /// One that is shipped with the program, in the script's own language.
    Shipped,
    /// None of ours: a file.
    File,
    /// Ours by its name, but there is none.
    Unknown(Vec<String>),
}

/// Finds what a `require` or an `import` means.
pub(super) fn load(language: Language, request: &str) -> Loaded {
    let request =
        if language == Language::Rhai { request.trim_start_matches('@') } else { request };
    let scope = match language {
        Language::Luau => "@kingtide",
        Language::Rhai => "kingtide",
    };
    let name = match request.strip_prefix(scope) {
        Some("") => "",
        Some(rest) if rest.starts_with('/') => &rest[1..],
        _ => return Loaded::File,
    };
    if let Some(module) = MODULES.iter().find(|module| module.name == name) {
        return Loaded::Native(module);
    }
    let embedded = stdlib::sources(language);
    if !name.starts_with('_') && embedded.contains_key(name) {
        return Loaded::Shipped;
    }
    let native = MODULES.iter().map(|module| module.name.to_owned());
    let shipped = embedded.keys().map(|known| (*known).to_owned());
    let known = native.chain(shipped).filter(|name| !name.starts_with('_'));
    let full =
        |name: String| if name.is_empty() { scope.to_owned() } else { format!("{scope}/{name}") };
    Loaded::Unknown(known.map(full).collect())
}
