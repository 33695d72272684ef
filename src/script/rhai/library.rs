//! What `import` finds: native modules, embedded ones, and files beside the script.
//!
//! Files are compiled once per worker and evaluated once per VU, so that no VU sees another's
//! values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rhai::{AST, Engine, EvalAltResult, FnAccess, Position, Scope};

use super::SharedModule;
use super::border::Imported;
use super::current::Current;
use super::failure::Failure;
use super::native;
use crate::api::Module;
use crate::script::{Language, Program, stdlib};
use crate::units;

/// A source file as errors and imports need it.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: Rc<str>,
    pub(super) functions: Vec<Defined>,
}

/// A function of a script.
#[derive(Clone)]
pub(super) struct Defined {
    pub(super) name: String,
    pub(super) params: usize,
    /// Whether only its file may call it.
    pub(super) private: bool,
    /// Where its body begins.
    pub(super) start: Position,
}

/// A worker's modules and sources.
pub(super) struct Library {
    pub(super) program: Rc<Program>,
    /// The native modules' tables.
    pub(super) tables: &'static [Module],
    current: Rc<Current>,
    natives: BTreeMap<String, SharedModule>,
    embedded: BTreeMap<String, &'static str>,
    files: RefCell<BTreeMap<String, Rc<File>>>,
    compiled: RefCell<BTreeMap<PathBuf, Rc<Imported>>>,
}

impl Library {
    pub(super) fn new(
        program: Rc<Program>,
        current: &Rc<Current>,
        tables: &'static [Module],
    ) -> Rc<Self> {
        let embedded = stdlib::sources(Language::Rhai)
            .into_iter()
            .map(|(name, text)| (format!("kingtide/{name}"), text))
            .collect();
        Rc::new(Self {
            program,
            tables,
            current: Rc::clone(current),
            natives: native::bind(current, tables),
            embedded,
            files: RefCell::default(),
            compiled: RefCell::default(),
        })
    }

    /// Compiles a file and keeps its text for errors under its name.
    ///
    /// # Errors
    /// If it does not compile.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        path: &Path,
        name: &str,
        text: &str,
    ) -> Result<AST, rhai::ParseError> {
        let key = self.key(path, name);
        let mut file = File { path: path.to_owned(), text: text.into(), functions: Vec::new() };
        let mut ast = match engine.compile(text) {
            Ok(ast) => ast,
            Err(error) => {
                self.files.borrow_mut().insert(key, Rc::new(file));
                return Err(error);
            }
        };
        ast.set_source(key.as_str());
        let defined = ast.iter_fn_def().map(|function| Defined {
            name: function.name.to_string(),
            params: function.params.len(),
            private: function.access == FnAccess::Private,
            start: function.body.start_position(),
        });
        file.functions = defined.collect();
        self.files.borrow_mut().insert(key, Rc::new(file));
        Ok(ast)
    }

    /// Returns the name that stands for a file: its own, or its path if another has that name.
    fn key(&self, path: &Path, name: &str) -> String {
        match self.files.borrow().get(name) {
            Some(file) if file.path != path => path.display().to_string(),
            _ => name.to_owned(),
        }
    }

    /// Returns a file by its name.
    pub(super) fn file(&self, name: &str) -> Option<Rc<File>> {
        self.files.borrow().get(name).cloned()
    }

    /// Returns whether a file is shipped inside the binary.
    pub(super) fn is_shipped(&self, name: &str) -> bool {
        self.embedded.contains_key(name)
    }

    /// Returns what was wrong with the last call of a method that an object does not have so.
    pub(super) fn missed(&self, name: &str) -> Option<String> {
        self.current.take_missed().filter(|(method, _)| method == name).map(|(_, message)| message)
    }

    /// Returns the native module's table of an import name.
    pub(super) fn table(&self, name: &str) -> Option<&'static Module> {
        self.tables.iter().find(|module| native::import_name(module) == name)
    }

    /// Returns all names that can be imported without a file.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.natives.keys().chain(self.embedded.keys()).map(String::as_str)
    }

    fn load(
        &self,
        engine: &Engine,
        from: Option<&str>,
        request: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        let name = request.trim_start_matches('@');
        if let Some(module) = self.natives.get(name) {
            return Ok(Rc::clone(module));
        }
        if let Some(text) = self.embedded.get(name) {
            return self.evaluate(engine, Path::new(name), name, text, position);
        }
        if name == "kingtide" || name.starts_with("kingtide/") {
            return Err(Failure::load(self.no_module(name), position));
        }
        let from = from.and_then(|name| self.file(name));
        let from = from.as_ref().map_or(self.program.path(), |file| file.path.as_path());
        let found = self
            .program
            .module(from, request)
            .map_err(|error| Failure::load(error.to_string(), position))?;
        self.evaluate(engine, &found.path, &found.name, &found.text, position)
    }

    fn no_module(&self, name: &str) -> String {
        if let Some(near) = units::nearest(name, self.names()) {
            return format!("unknown module \"{name}\", did you mean \"{near}\"?");
        }
        let names: Vec<&str> = self.names().collect();
        format!("unknown module \"{name}\"; there are {}", names.join(", "))
    }

    fn evaluate(
        &self,
        engine: &Engine,
        path: &Path,
        name: &str,
        text: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        let call = self.current.call()?;
        if let Some(module) = call.modules.borrow().get(path) {
            return Ok(Rc::clone(module));
        }
        let is_entry = path == self.program.path();
        if is_entry || call.loading.borrow().iter().any(|other| other == path) {
            let chain: Vec<String> = call
                .loading
                .borrow()
                .iter()
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect();
            let by = if chain.is_empty() { name.to_owned() } else { chain.join(" -> ") };
            let message = format!("{name} imports itself (by {by})");
            return Err(Failure::load(message, position));
        }
        let inside = |error| Box::new(EvalAltResult::ErrorInModule(name.into(), error, position));
        let known = self.compiled.borrow().get(path).cloned();
        let imported = if let Some(imported) = known {
            imported
        } else {
            let ast = self.compile(engine, path, name, text);
            let ast = ast.map_err(|error| inside(error.into()))?;
            let imported = Rc::new(Imported::new(engine, &ast));
            self.compiled.borrow_mut().insert(path.to_owned(), Rc::clone(&imported));
            imported
        };
        call.loading.borrow_mut().push(path.to_owned());
        self.current.captured.take();
        let module = rhai::Module::eval_ast_as_new(Scope::new(), &imported.ast, engine);
        let global = self.current.captured.take();
        call.loading.borrow_mut().pop();
        let mut module = module.map_err(inside)?;
        // A file that returns early has left nothing; its functions stay as Rhai makes them.
        if let Some(global) = global {
            imported.offer(&mut module, global, &self.current);
        }
        module.build_index();
        if module.contains_indexed_global_functions() {
            call.has_methods.set(true);
        }
        let module = SharedModule::from(module);
        call.modules.borrow_mut().insert(path.to_owned(), Rc::clone(&module));
        Ok(module)
    }
}

/// Lets the engine find a worker's modules.
pub(super) struct Resolver(pub(super) Rc<Library>);

impl rhai::ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        self.0.load(engine, source, path, position)
    }
}

/// Returns whether a function of a script is offered to the runner.
pub(super) fn is_offered(function: &rhai::ScriptFnMetadata<'_>) -> bool {
    function.access == FnAccess::Public
        && function.params.len() <= 1
        && function.this_type.is_none()
        && !function.name.starts_with("anon$")
        && function.name != "options"
}
