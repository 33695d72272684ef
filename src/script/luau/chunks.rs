//! A worker's chunks: sources by the name that errors give, and their bytecode, compiled once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::chunk::Compiler;

use super::failure;
use crate::api::Module;
use crate::plan::ScriptLimits;
use crate::script::{Language, Program, ScriptError, stdlib};
use crate::units;

/// The prelude's name in tracebacks.
pub(super) const PRELUDE: &str = "[kingtide]";

/// How scripts name our modules.
const SCOPE: &str = "@kingtide";

/// A source text.
#[derive(Clone)]
pub(super) struct Chunk {
    /// Where it lies; empty for what is shipped inside the binary.
    pub(super) path: PathBuf,
    /// Its text.
    pub(super) text: Rc<str>,
}

/// What a `require` means.
pub(super) enum Found {
    /// A native module, by its position.
    Native(usize),
    /// A chunk, by its name.
    Chunk(Rc<str>),
}

/// A `require` that cannot be served: a message, which may begin with a place.
pub(super) struct NotFound {
    /// What is wrong.
    pub(super) message: String,
    /// Whether the message begins with its own place.
    pub(super) placed: bool,
}

/// The requiring chunk, and what it asks for.
type Request = (Rc<str>, String);

/// A worker's chunks.
pub(super) struct Chunks {
    /// The sources.
    pub(super) program: Rc<Program>,
    /// The native modules.
    pub(super) modules: &'static [Module],
    /// What a script may use.
    pub(super) limits: ScriptLimits,
    /// The entry's name.
    pub(super) entry: Rc<str>,
    embedded: BTreeMap<&'static str, &'static str>,
    sources: RefCell<BTreeMap<Rc<str>, Chunk>>,
    bytecode: RefCell<BTreeMap<Rc<str>, Rc<Vec<u8>>>>,
    /// Files that were found before, by the requiring file and the request.
    found: RefCell<BTreeMap<Request, Rc<str>>>,
}

impl Chunks {
    /// Takes a program and compiles its entry.
    ///
    /// # Errors
    /// If it does not compile.
    pub(super) fn new(
        program: Rc<Program>,
        modules: &'static [Module],
        limits: ScriptLimits,
    ) -> Result<Self, ScriptError> {
        let entry: Rc<str> = program.name().into();
        let chunk = Chunk { path: program.path().to_path_buf(), text: program.text().into() };
        let chunks = Self {
            program,
            modules,
            limits,
            entry: Rc::clone(&entry),
            embedded: stdlib::sources(Language::Luau),
            sources: RefCell::new(BTreeMap::from([(Rc::clone(&entry), chunk)])),
            bytecode: RefCell::default(),
            found: RefCell::default(),
        };
        if let Err(syntax) = chunks.bytecode(&entry) {
            return Err(failure::syntax(&chunks, &entry, &syntax));
        }
        Ok(chunks)
    }

    /// Returns a chunk by its name.
    pub(super) fn get(&self, name: &str) -> Option<Chunk> {
        self.sources.borrow().get(name).cloned()
    }

    /// Returns whether a name is that of an author's file.
    pub(super) fn is_author(&self, name: &str) -> bool {
        self.sources.borrow().get(name).is_some_and(|chunk| !chunk.path.as_os_str().is_empty())
    }

    /// Takes a place, `NAME:LINE: `, off the front of a message.
    pub(super) fn split_place<'a>(&self, text: &'a str) -> Option<(Rc<str>, u32, &'a str)> {
        let cut = |name: &str| {
            let rest = text.strip_prefix(name)?.strip_prefix(':')?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let line = rest[..digits].parse().ok()?;
            Some((line, rest[digits..].strip_prefix(':')?.trim_start()))
        };
        if let Some((line, rest)) = cut(PRELUDE) {
            return Some((PRELUDE.into(), line, rest));
        }
        let chunks = self.sources.borrow();
        chunks.keys().find_map(|name| cut(name).map(|(line, rest)| (Rc::clone(name), line, rest)))
    }

    /// Returns a chunk's bytecode.
    ///
    /// # Errors
    /// The compiler's message, as `LINE: MESSAGE`.
    pub(super) fn bytecode(&self, name: &Rc<str>) -> Result<Rc<Vec<u8>>, String> {
        if let Some(bytecode) = self.bytecode.borrow().get(name) {
            return Ok(Rc::clone(bytecode));
        }
        let text = self.get(name).map(|chunk| chunk.text).unwrap_or_default();
        let bytecode = Rc::new(compile(&text)?);
        self.bytecode.borrow_mut().insert(Rc::clone(name), Rc::clone(&bytecode));
        Ok(bytecode)
    }

    /// Finds what `request` means in the chunk `from`.
    pub(super) fn find(&self, from: &Rc<str>, request: &str) -> Result<Found, NotFound> {
        let mut request = request.to_owned();
        if from.starts_with(SCOPE)
            && let Some(sibling) = request.strip_prefix("./")
        {
            request = format!("{SCOPE}/{sibling}");
        }
        if let Some(rest) = request.strip_prefix(SCOPE)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return self.find_own(rest.trim_start_matches('/'), &request);
        }
        if request.starts_with('@') {
            return Err(NotFound {
                message: format!(
                    "unknown module \"{request}\"; there are \"{SCOPE}\", \"{SCOPE}/NAME\" and files \
                     beside the script: \"./NAME\""
                ),
                placed: false,
            });
        }
        let key = (Rc::clone(from), request);
        if let Some(name) = self.found.borrow().get(&key) {
            return Ok(Found::Chunk(Rc::clone(name)));
        }
        let path = self.get(from).map(|chunk| chunk.path).unwrap_or_default();
        let module = self
            .program
            .module(&path, &key.1)
            .map_err(|error| NotFound { message: error.0, placed: false })?;
        let name = self.add(&module.name, &module.path, &module.text);
        self.compiled(&name)?;
        self.found.borrow_mut().insert(key, Rc::clone(&name));
        Ok(Found::Chunk(name))
    }

    fn find_own(&self, name: &str, request: &str) -> Result<Found, NotFound> {
        if let Some(index) = self.modules.iter().position(|module| module.name == name) {
            return Ok(Found::Native(index));
        }
        if let Some(text) = self.embedded.get(name).filter(|_| !name.starts_with('_')) {
            let name = self.add(request, Path::new(""), text);
            self.compiled(&name)?;
            return Ok(Found::Chunk(name));
        }
        let known: Vec<String> = self
            .modules
            .iter()
            .map(|module| module.name)
            .chain(self.embedded.keys().copied().filter(|name| !name.starts_with('_')))
            .map(|name| if name.is_empty() { SCOPE.to_owned() } else { format!("{SCOPE}/{name}") })
            .collect();
        let message = match units::nearest(request, known.iter().map(String::as_str)) {
            Some(near) => format!("unknown module \"{request}\", did you mean \"{near}\"?"),
            None => format!("unknown module \"{request}\"; there are {}", known.join(", ")),
        };
        Err(NotFound { message, placed: false })
    }

    /// Returns the Luau text that fills in a native module's functions with callbacks, if there is
    /// one: the embedded module of its name with `_` before it.
    pub(super) fn scripted(&self, module: &str) -> Option<Rc<str>> {
        let text = self.embedded.get(format!("_{module}").as_str())?;
        Some(self.add(&format!("{SCOPE}/_{module}"), Path::new(""), text))
    }

    fn compiled(&self, name: &Rc<str>) -> Result<(), NotFound> {
        self.bytecode(name)
            .map(drop)
            .map_err(|syntax| NotFound { message: format!("{name}:{syntax}"), placed: true })
    }

    /// Keeps a chunk under its name in messages; two files of one name get their paths instead.
    fn add(&self, name: &str, path: &Path, text: &str) -> Rc<str> {
        let mut chunks = self.sources.borrow_mut();
        let mut name: Rc<str> = name.into();
        if chunks.get(&name).is_some_and(|other| other.path != path) {
            name = path.display().to_string().into();
        }
        let chunk = || Chunk { path: path.to_path_buf(), text: text.into() };
        chunks.entry(Rc::clone(&name)).or_insert_with(chunk);
        name
    }
}

/// Compiles; the error is `LINE: MESSAGE`.
pub(super) fn compile(text: &str) -> Result<Vec<u8>, String> {
    // Level 1 keeps every function's own frame: inlined ones would be missing in stacks.
    Compiler::new().set_optimization_level(1).set_debug_level(1).compile(text).map_err(|error| {
        match error {
            mlua::Error::SyntaxError { message, .. } => message,
            other => format!("1: {other}"),
        }
    })
}
