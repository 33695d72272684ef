//! Going through a file: what each name stands for, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Found;
use super::catalogue::{self, Catalogue, Loaded, Signature};
use crate::api::Module;
use crate::script::place::Spot;
use crate::script::syntax::tree::{Function, Node, Shape};
use crate::script::{Language, Program, luau, rhai, syntax};
use crate::units;

/// What is known of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Known {
    /// Nothing.
    Any,
    /// A module, or a part of one such as `log.`, as a prefix of names.
    Module(&'static Module, String),
    /// A module of the script's own language; its names, where the language tells them.
    File(Option<Rc<BTreeSet<String>>>),
    /// A function that can be called.
    Call {
        /// As messages name it.
        name: String,
        signature: Option<Signature>,
        /// Whether an object's: Luau calls it with a colon.
        method: bool,
    },
    /// Something of a type.
    Shape(Shape),
}

impl PartialEq for Module {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Names of a block.
type Scope = BTreeMap<String, Known>;

pub(super) struct Walk<'a> {
    pub(super) language: Language,
    pub(super) catalogue: &'static Catalogue,
    /// Names that get a value somewhere: what is known of them does not last.
    assigned: &'a BTreeSet<String>,
    program: &'a Program,
    path: PathBuf,
    scopes: Vec<Scope>,
    /// What functions of Rhai see of the top level.
    shared: Scope,
    /// Constants of Rhai's top level.
    constants: BTreeSet<String>,
    /// Variables of Rhai's top level, and its functions with the numbers of their parameters.
    top_level: BTreeSet<String>,
    functions: BTreeMap<String, Vec<usize>>,
    pub(super) found: Vec<Found>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        language: Language,
        assigned: &'a BTreeSet<String>,
        program: &'a Program,
        path: &Path,
    ) -> Self {
        Self {
            language,
            catalogue: Catalogue::get(),
            assigned,
            program,
            path: path.to_owned(),
            scopes: Vec::new(),
            shared: Scope::new(),
            constants: BTreeSet::new(),
            top_level: BTreeSet::new(),
            functions: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// Goes through a whole file.
    pub(super) fn file(&mut self, nodes: &[Node]) {
        self.scopes = vec![Scope::new()];
        if self.language == Language::Luau {
            self.all(nodes);
            return;
        }
        for node in nodes {
            self.note_top_level(node);
        }
        // Functions come last: they see the imports wherever these stand.
        let (functions, statements): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|node| defined(node).is_some());
        for node in statements {
            self.node(node);
        }
        let top = self.scopes.pop().unwrap_or_default();
        self.shared = top.into_iter().filter(|(_, known)| is_module(known)).collect();
        for (_, function) in functions.into_iter().filter_map(defined) {
            self.scopes = vec![self.shared.clone()];
            self.function(function, &[]);
        }
    }

    fn note_top_level(&mut self, node: &Node) {
        if let Some((name, function)) = defined(node) {
            self.functions.entry(name.to_owned()).or_default().push(function.params.len());
        }
        if let Node::Let { names, constant, .. } = node {
            for (name, _) in names {
                if *constant {
                    self.constants.insert(name.clone());
                } else {
                    self.top_level.insert(name.clone());
                }
            }
        }
    }

    pub(super) fn say(&mut self, certain: bool, message: String, at: Spot, help: Option<String>) {
        self.found.push(Found { certain, message, at, help });
    }

    fn all(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn block(&mut self, nodes: &[Node]) {
        self.scopes.push(Scope::new());
        self.all(nodes);
        self.scopes.pop();
    }

    /// Goes through a function whose arguments are known so far.
    pub(super) fn function(&mut self, function: &Function, args: &[Shape]) {
        let outer = if function.closure || self.language == Language::Luau {
            None
        } else {
            Some(std::mem::replace(&mut self.scopes, vec![self.shared.clone()]))
        };
        let mut scope = Scope::new();
        for (at, param) in function.params.iter().enumerate() {
            let known = args.get(at).or(param.shape.as_ref()).cloned().map_or(Known::Any, known);
            scope.insert(param.name.clone(), self.lasting(&param.name, known));
        }
        self.scopes.push(scope);
        self.all(&function.body);
        self.scopes.pop();
        if let Some(outer) = outer {
            self.scopes = outer;
        }
    }

    /// Returns what is known of a variable as long as it lives.
    fn lasting(&self, name: &str, known: Known) -> Known {
        if self.assigned.contains(name) { Known::Any } else { known }
    }

    fn declare(&mut self, name: &str, known: Known) {
        let known = self.lasting(name, known);
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), known);
        }
    }

    /// Goes through a node and returns what is known of its value.
    pub(super) fn node(&mut self, node: &Node) -> Known {
        match node {
            Node::Module(request, at) => return self.load(request, *at),
            Node::Name(name, at) => return self.name(name, *at),
            Node::Member { of, name, at, path } => {
                let owner = self.owner(of, *path);
                self.offered_by(of, &owner, name, *at);
                let found = self.member(&owner, name, *at);
                return if let Known::Call { method: true, .. } = found {
                    Known::Any
                } else {
                    found
                };
            }
            Node::Call { callee, args, method } => return self.call(callee, args, *method),
            Node::Table(entries) => {
                for entry in entries {
                    self.node(&entry.value);
                }
            }
            Node::Function(function) => self.function(function, &[]),
            Node::Let { names, values, .. } => self.variables(names, values),
            Node::Set { targets, values } => {
                for target in targets {
                    match target {
                        // It need not be there before.
                        Node::Name(..) => {}
                        Node::Member { of, path, .. } => drop(self.owner(of, *path)),
                        other => drop(self.node(other)),
                    }
                }
                self.all(values);
            }
            Node::Cast { value, shape } => {
                self.node(value);
                return known(shape.clone());
            }
            Node::Block(nodes) => self.block(nodes),
            Node::Other(nodes) => self.all(nodes),
            Node::Text(..) | Node::Number(_) | Node::Rest | Node::Alias { .. } => {}
        }
        Known::Any
    }

    fn variables(&mut self, names: &[(String, Spot)], values: &[Node]) {
        if let ([(name, _)], [Node::Function(_)]) = (names, values) {
            // It may call itself.
            self.declare(name, Known::Any);
        }
        let known: Vec<Known> = values.iter().map(|value| self.node(value)).collect();
        for (at, (name, _)) in names.iter().enumerate() {
            let known = known.get(at).cloned().unwrap_or(Known::Any);
            self.declare(name, known);
        }
    }

    fn load(&mut self, request: &str, at: Spot) -> Known {
        match catalogue::load(self.language, request) {
            Loaded::Native(module) => Known::Module(module, String::new()),
            Loaded::Shipped => Known::File(None),
            Loaded::File => match self.program.module(&self.path, request) {
                Ok(module) => Known::File(offered(self.language, &module.text)),
                Err(error) => {
                    self.say(true, error.0, at, None);
                    Known::File(None)
                }
            },
            Loaded::Unknown(names) => {
                let known = names.iter().map(String::as_str);
                let message = match units::nearest(request, known) {
                    Some(near) => format!("unknown module \"{request}\", did you mean \"{near}\"?"),
                    None => format!("unknown module \"{request}\"; there are {}", names.join(", ")),
                };
                self.say(true, message, at, None);
                Known::File(None)
            }
        }
    }

    fn find(&self, name: &str) -> Option<Known> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).cloned()
    }

    /// Returns what is known of something whose member is asked for.
    fn owner(&mut self, node: &Node, path: bool) -> Known {
        let Node::Name(name, at) = node else { return self.node(node) };
        if self.language == Language::Luau {
            return self.name(name, *at);
        }
        let known = self.find(name);
        if path {
            if name == "global" {
                return Known::File(Some(Rc::new(self.constants.clone())));
            }
            return known.unwrap_or_else(|| {
                let (message, help) = rhai::unknown_module(name);
                self.say(true, message, *at, help);
                Known::Any
            });
        }
        self.name(name, *at)
    }

    /// Looks a name up that is read.
    fn name(&mut self, name: &str, at: Spot) -> Known {
        if let Some(known) = self.find(name) {
            if self.language == Language::Rhai && is_module(&known) {
                let message = format!("unknown variable `{name}`");
                let help =
                    format!("`{name}` is a module: write `{name}::…`, with `::` instead of `.`");
                self.say(true, message, at, Some(help));
                return Known::Any;
            }
            return known;
        }
        match self.language {
            Language::Luau => self.unknown_global(name, at),
            Language::Rhai => self.unknown_variable(name, at),
        }
        Known::Any
    }

    fn unknown_global(&mut self, name: &str, at: Spot) {
        if luau::GLOBALS.contains(&name) || name == "_G" || self.assigned.contains(name) {
            return;
        }
        let help = luau::advice_on_name(name).or_else(|| {
            let mine = self.scopes.iter().flat_map(Scope::keys).map(String::as_str);
            let near = units::nearest(name, mine.chain(luau::GLOBALS.iter().copied()))?;
            Some(format!("did you mean `{near}`?"))
        });
        // To read what is not there is allowed: it is nil.
        let certain = help.is_some();
        self.say(certain, format!("nothing is called `{name}` here"), at, help);
    }

    fn unknown_variable(&mut self, name: &str, at: Spot) {
        if self.functions.contains_key(name) {
            // Functions are values by their names.
            return;
        }
        let message = format!("unknown variable `{name}`");
        let help = if self.constants.contains(name) {
            Some(format!("`{name}` is a constant of the script: write `global::{name}`"))
        } else if self.top_level.contains(name) {
            Some(format!(
                "functions do not see variables of the top level; declare it with `const {name} = …;` \
                 and write `global::{name}`"
            ))
        } else {
            let mine = self.scopes.iter().flat_map(Scope::keys).map(String::as_str);
            match units::nearest(name, mine) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => rhai::unknown_module(name).1,
            }
        };
        self.say(true, message, at, help);
    }

    /// Goes through a call and returns what is known of what it returns.
    fn call(&mut self, callee: &Node, args: &[Node], method: bool) -> Known {
        let (target, at) = match callee {
            Node::Name(name, at) if self.language == Language::Rhai => {
                self.plain_call(name, args.len(), *at);
                (Known::Any, *at)
            }
            Node::Member { of, name, at, path } => {
                let owner = self.owner(of, *path);
                self.offered_by(of, &owner, name, *at);
                (self.member(&owner, name, *at), *at)
            }
            Node::Name(_, at) => (self.node(callee), *at),
            other => (self.node(other), Spot { line: 1, column: 1, width: 1 }),
        };
        let Known::Call { name, signature, method: of_object } = target else {
            self.all(args);
            return Known::Any;
        };
        if let Node::Member { of, .. } = callee
            && let (Node::Name(object, _), Some(Node::Name(first, _))) = (&**of, args.first())
            && of_object
            && !method
            && object == first
        {
            // `object.method(object)` is the same as `object:method()`.
            self.all(args);
            return Known::Any;
        }
        if self.language == Language::Luau && method != of_object {
            let message = if of_object {
                format!("{name}: call it with `:`, as in {name}(...)")
            } else {
                format!("{name}: call it with `.`, not `:`: {name}(...)")
            };
            self.say(true, message, at, None);
            self.all(args);
            return Known::Any;
        }
        let Some(signature) = signature else {
            self.all(args);
            return Known::Any;
        };
        self.fit(&name, &signature, args, at)
    }

    /// Looks at a call of a function by its bare name, in Rhai.
    fn plain_call(&mut self, name: &str, count: usize, at: Spot) {
        if self.find(name).is_some() {
            return;
        }
        if let Some(counts) = self.functions.get(name) {
            if !counts.contains(&count) && !rhai::is_built_in(name) {
                let wanted: Vec<String> = counts.iter().map(ToString::to_string).collect();
                let message =
                    format!("`{name}` takes {} arguments, got {count}", wanted.join(" or "));
                self.say(true, message, at, None);
            }
            return;
        }
        if rhai::is_built_in(name) {
            return;
        }
        let names = self.functions.keys().map(String::as_str);
        let near = units::nearest(name, names).map(|near| format!("did you mean `{near}`?"));
        if let Some(help) =
            near.or_else(|| rhai::offered(name).map(|full| format!("write `{full}(…)`")))
        {
            self.say(true, format!("unknown function `{name}`"), at, Some(help));
        }
    }
}

/// Returns what a type tells.
pub(super) fn known(shape: Shape) -> Known {
    match shape {
        Shape::Any => Known::Any,
        // What may be nothing is looked into as if it were there.
        Shape::Optional(inner) => known(*inner),
        shape => Known::Shape(shape),
    }
}

fn is_module(known: &Known) -> bool {
    matches!(known, Known::Module(..) | Known::File(_))
}

/// Returns what a file of Rhai offers to those that import it: its functions, constants and imports.
/// What a file of Luau returns is not known.
fn offered(language: Language, text: &str) -> Option<Rc<BTreeSet<String>>> {
    if language == Language::Luau {
        return None;
    }
    let nodes = syntax::parse(language, text)?;
    let mut names = BTreeSet::new();
    for node in &nodes {
        match node {
            Node::Let { names: declared, .. } => {
                names.extend(declared.iter().map(|(name, _)| name.clone()));
            }
            node => names.extend(defined(node).map(|(name, _)| name.to_owned())),
        }
    }
    Some(Rc::new(names))
}

/// Returns the function that a statement of Rhai defines.
fn defined(node: &Node) -> Option<(&str, &Function)> {
    match node {
        Node::Set { targets, values } => match (targets.as_slice(), values.as_slice()) {
            ([Node::Name(name, _)], [Node::Function(function)]) if !function.closure => {
                Some((name, function))
            }
            _ => None,
        },
        _ => None,
    }
}
