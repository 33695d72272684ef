//! Script files: which language, what a `require` or `import` means, and what may be read.
//!
//! Nothing outside the script's folder and the `--include` folders can be loaded, by whatever path
//! or symbolic link.
//!
//! What was read while a script was loaded for the first time is kept with it: all threads run the
//! same text, whatever is saved meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::api::{DataSets, Files, MODULES};

/// A script's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `.luau`, `.lua`
    Luau,
    /// `.rhai`
    Rhai,
}

/// A file that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// A script's sources: the entry file, read once, and where its modules may lie.
#[derive(Debug, Clone)]
pub struct Program {
    entry: PathBuf,
    language: Language,
    /// Folders that modules may come from, resolved, the script's own first.
    roots: Vec<PathBuf>,
    /// The entry's text.
    text: String,
    /// The data that it declares when it is loaded first, the same for all threads.
    data: Arc<DataSets>,
    /// Modules that were read before.
    modules: Arc<BTreeMap<Request, ModuleSource>>,
    /// Who is told what is read.
    reads: Option<Sender<Read>>,
}

/// The file that asks for a module, and how it names it.
type Request = (PathBuf, String);

/// A module that was asked for, and its file.
#[derive(Debug)]
struct Read {
    request: Request,
    source: ModuleSource,
}

/// The modules that a program has read so far, in all its copies.
#[derive(Debug)]
pub struct Reads {
    receiver: Receiver<Read>,
    modules: BTreeMap<Request, ModuleSource>,
}

impl Reads {
    /// Returns a program that has what was read so far, and reads no more of it from disk.
    pub fn keep(&mut self, program: &Program) -> Program {
        self.take();
        Program { modules: Arc::new(self.modules.clone()), ..program.clone() }
    }

    /// Returns the files that were read so far.
    pub fn files(&mut self) -> Vec<PathBuf> {
        self.take();
        self.modules.values().map(|source| source.path.clone()).collect()
    }

    /// Returns whether a file still holds what was read from it; of other files nothing is known.
    pub fn holds(&self, path: &Path) -> bool {
        let mut texts = self.modules.values().filter(|source| source.path == path);
        texts.all(|source| read(path).is_ok_and(|text| text == source.text))
    }

    fn take(&mut self) {
        let new = self.receiver.try_iter().map(|read| (read.request, read.source));
        self.modules.extend(new);
    }
}

/// A module's file, found and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleSource {
    /// Its resolved path: the key under which it is loaded once per VU.
    pub path: PathBuf,
    /// Its name in messages: relative to the folder it was found in.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Program {
    /// Reads an entry script.
    ///
    /// # Errors
    /// If the file cannot be read, is not UTF-8, or its language is not known by its extension.
    pub fn load(entry: &Path, include: &[PathBuf]) -> Result<Self, SourceError> {
        let language = language_of(entry)?;
        let text = read(entry)?;
        let resolved = entry
            .canonicalize()
            .map_err(|error| SourceError(format!("cannot resolve {}: {error}", entry.display())))?;
        let folder = resolved.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut roots = vec![folder];
        for path in include {
            roots.push(path.canonicalize().map_err(|error| {
                SourceError(format!("cannot include {}: {error}", path.display()))
            })?);
        }
        Ok(Self { entry: resolved, language, roots, text, ..Self::empty(language) })
    }

    fn empty(language: Language) -> Self {
        Self {
            entry: PathBuf::new(),
            language,
            roots: Vec::new(),
            text: String::new(),
            data: Arc::default(),
            modules: Arc::default(),
            reads: None,
        }
    }

    /// Returns the program with data that was read before: what its top level declares alike is not
    /// read again, and is handed out from where it is.
    #[must_use]
    pub fn with_data(self, data: Arc<DataSets>) -> Self {
        Self { data, ..self }
    }

    /// Returns the program, and what will be told of the modules that it and its copies read.
    #[must_use]
    pub fn observed(self) -> (Self, Reads) {
        let (sender, receiver) = channel();
        let program = Self { reads: Some(sender), ..self };
        (program, Reads { receiver, modules: BTreeMap::new() })
    }

    /// Returns whether another program has the same texts, as far as they have been read.
    pub fn has_same_text(&self, other: &Self) -> bool {
        self.text == other.text && self.modules == other.modules
    }

    /// Returns a program from text, for tests; modules lie in `folder`.
    pub fn from_text(name: &str, text: &str, folder: &Path) -> Result<Self, SourceError> {
        let language = language_of(Path::new(name))?;
        let roots = folder.canonicalize().into_iter().collect();
        let text = text.to_owned();
        Ok(Self { entry: folder.join(name), roots, text, ..Self::empty(language) })
    }

    /// Returns the language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Returns the entry's name in messages.
    pub fn name(&self) -> String {
        self.entry.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Returns the entry's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the files that the script may read.
    pub fn files(&self) -> Files {
        Files::new(self.roots.clone())
    }

    /// Returns the data that it declares when it is loaded first.
    pub fn data(&self) -> &Arc<DataSets> {
        &self.data
    }

    /// Returns the entry's path.
    pub fn path(&self) -> &Path {
        &self.entry
    }

    /// Finds and reads the module that `request` (`./helpers`, `../lib/x`, `helpers`) names in the
    /// file at `from` (a path of this program or of a [`ModuleSource`]).
    ///
    /// # Errors
    /// If there is no such file, or it lies outside the allowed folders.
    pub fn module(&self, from: &Path, request: &str) -> Result<ModuleSource, SourceError> {
        let key = (from.to_owned(), request.to_owned());
        if let Some(source) = self.modules.get(&key) {
            return Ok(source.clone());
        }
        let source = self.read_module(from, request)?;
        if let Some(reads) = &self.reads {
            // Who watched has stopped watching.
            let _gone = reads.send(Read { request: key, source: source.clone() });
        }
        Ok(source)
    }

    fn read_module(&self, from: &Path, request: &str) -> Result<ModuleSource, SourceError> {
        let folder = from.parent().unwrap_or(Path::new(""));
        let extensions: &[&str] = match self.language {
            Language::Luau => &["luau", "lua"],
            Language::Rhai => &["rhai"],
        };
        let mut places: Vec<PathBuf> = vec![folder.to_path_buf()];
        if !request.starts_with('.') {
            places.extend(self.roots.iter().cloned());
        }
        for place in &places {
            let base = place.join(request);
            let mut candidates = vec![base.clone()];
            for extension in extensions {
                let mut name = base.clone().into_os_string();
                name.push(format!(".{extension}"));
                candidates.push(PathBuf::from(name));
                candidates.push(base.join(format!("init.{extension}")));
            }
            for candidate in candidates {
                let Ok(path) = candidate.canonicalize() else { continue };
                if !path.is_file() {
                    continue;
                }
                let Some(root) = self.roots.iter().find(|root| path.starts_with(root)) else {
                    return Err(SourceError(format!(
                        "cannot load \"{request}\": it lies outside the script's folder; \
                         allow its folder with --include DIR"
                    )));
                };
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                let text = read(&path)?;
                return Ok(ModuleSource { path, name, text });
            }
        }
        if request.split(['/', '\\']).any(|part| part == "..") || Path::new(request).is_absolute() {
            return Err(SourceError(format!(
                "cannot load \"{request}\": only files in the script's folder can be loaded; \
                 allow another folder with --include DIR"
            )));
        }
        let native = self.native(request).map_or_else(String::new, |native| {
            format!("; the native module is written `{native}`")
        });
        Err(SourceError(format!(
            "cannot find module \"{request}\" beside {} (looked for {}){native}",
            from.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            extensions.iter().map(|e| format!("{request}.{e}")).collect::<Vec<_>>().join(", "),
        )))
    }

    /// Returns how a native module is loaded that a request may mean: `http`, `kingtide/http`, with or
    /// without `@`.
    fn native(&self, request: &str) -> Option<String> {
        let name = request.trim_start_matches('@');
        let name = name.strip_prefix("kingtide/").unwrap_or(name);
        let known = MODULES.iter().any(|module| module.name == name);
        let full = if name == "kingtide" { name.to_owned() } else { format!("kingtide/{name}") };
        (known || name == "kingtide").then(|| match self.language {
            Language::Luau => format!("require(\"@{full}\")"),
            Language::Rhai => format!("import \"{full}\""),
        })
    }
}

fn language_of(path: &Path) -> Result<Language, SourceError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("luau" | "lua") => Ok(Language::Luau),
        Some("rhai") => Ok(Language::Rhai),
        Some("js" | "ts" | "mjs" | "cjs") => Err(SourceError(format!(
            "{} is JavaScript, as k6 runs it: kingtide runs Luau (.luau) and Rhai (.rhai); `kingtide new` writes \
             a script to begin with",
            path.display()
        ))),
        _ => Err(SourceError(format!(
            "cannot tell the language of {}: scripts end in .luau, .lua or .rhai",
            path.display()
        ))),
    }
}

fn read(path: &Path) -> Result<String, SourceError> {
    let bytes = std::fs::read(path)
        .map_err(|error| SourceError(format!("cannot read {}: {error}", path.display())))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        SourceError(format!("{} is not UTF-8 text: save it as UTF-8", path.display()))
    })?;
    // Some editors begin files with a byte order mark, which is a strange sign to both languages.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
