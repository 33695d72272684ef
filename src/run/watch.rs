//! Watches the files of a test, and compiles the test anew when one is saved, beside the run and on
//! a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Test;
use crate::api::{DataSets, Event};
use crate::clock::{self, Instant};
use crate::metrics::Registry;
use crate::script::Reads;

/// A save is over when the folder has been quiet for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(30);

/// A folder that is never quiet, for another program writes into it, is looked at so often.
const QUIET_MAX: Duration = Duration::from_millis(300);

/// How long a file may be gone while it is saved: some editors move it away first.
const GONE_MAX: Duration = Duration::from_secs(1);

/// How often it is asked which files have been read since.
const LOOK: Duration = Duration::from_secs(1);

/// What scripts are made of, by extension: where a file was missing, one of these may be it.
const KINDS: [&str; 8] = ["luau", "lua", "rhai", "toml", "csv", "json", "jsonl", "txt"];

/// What a new version continues.
#[derive(Debug, Clone)]
pub struct Before {
    /// The metrics.
    pub metrics: Arc<Registry>,
    /// The data, if it need not be read again.
    pub data: Option<Arc<DataSets>>,
}

/// Compiles a test anew, as the next version after one that runs.
pub type Compile = Box<dyn FnMut(&Before) -> Compiled + Send>;

/// How a test is compiled anew while it runs.
pub struct Watch {
    /// Compiles it.
    pub compile: Compile,
    /// What it consists of as it runs.
    pub sources: Sources,
    /// Where the author's orders come from; then requests and checks are told one by one.
    pub orders: Option<UnboundedReceiver<Order>>,
    /// Whether samples of scenarios have the tag `script_version`: 0, and the numbers of reloads.
    pub tag_versions: bool,
}

/// What an author who looks on may order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// VUs wait before their next iterations, or go on.
    Pause(bool),
    /// The test ends now.
    End,
}

/// The files that a test consists of.
#[derive(Debug, Default)]
pub struct Sources {
    /// Known from the start: the script and the file of options, which need not be there.
    pub files: Vec<PathBuf>,
    /// Modules as they are read.
    pub reads: Option<Reads>,
    /// Data that was declared.
    pub data: Arc<DataSets>,
}

impl Sources {
    /// Returns the files and how they are now, to be compared with another look.
    pub fn look(&mut self) -> Vec<(PathBuf, Option<Stamp>)> {
        let look = |file: PathBuf| (file.clone(), stamp(&file));
        self.all().into_iter().map(look).collect()
    }

    fn all(&mut self) -> BTreeSet<PathBuf> {
        let modules = self.reads.iter_mut().flat_map(Reads::files);
        let data = self.data.files().into_iter().map(Path::to_path_buf);
        modules.chain(data).chain(self.files.iter().cloned()).collect()
    }
}

/// Why a version cannot run, as authors read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In the colors of the terminal.
    pub styled: String,
    /// Without.
    pub plain: String,
}

/// What came of compiling.
#[derive(Debug)]
pub struct Compiled {
    /// What was read.
    pub sources: Sources,
    /// The test, and what its top level logged; or why it cannot be.
    pub result: Result<(Test, Vec<Event>), Refusal>,
}

/// What the watch tells.
#[derive(Debug)]
pub(super) enum News {
    /// A version that can run, and when its files were saved.
    Compiled(Box<Test>, Vec<Event>, Instant),
    /// What was saved cannot run.
    Refused(Refusal),
    /// What could not run was taken back: the files are those of the version that runs.
    Mended,
    /// The author wants something.
    Order(Order),
}

/// A watch that goes on until it is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    news: UnboundedReceiver<News>,
    orders: Option<UnboundedReceiver<Order>>,
    /// Whether samples have the tag `script_version`.
    pub(super) tag_versions: bool,
    end: Sender<Word>,
}

impl Watching {
    /// Starts to watch.
    ///
    /// # Errors
    /// If the system does not let folders be watched.
    pub(super) fn start(watch: Watch, test: &Test) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| {
            format!(
                "the script's folder cannot be watched: {error}; raise the sysctls \
                 fs.inotify.max_user_instances and max_user_watches, or leave out --watch"
            )
        };
        let (orders, tag_versions) = (watch.orders, watch.tag_versions);
        let (words, heard) = channel();
        let events = words.clone();
        let watcher = notify::recommended_watcher(move |event| {
            let _ended = events.send(Word::Event(event));
        });
        let watcher = watcher.map_err(|error| wrong(&error))?;
        let (outbox, news) = unbounded_channel();
        let mut watcher = Watcher {
            compile: watch.compile,
            sources: watch.sources,
            registry: Arc::clone(&test.registry),
            running: (Arc::clone(&test.program), test.options.clone()),
            refused: None,
            stamps: BTreeMap::new(),
            folders: BTreeSet::new(),
            notices: watcher,
            outbox,
        };
        watcher.look_at_all().map_err(|error| wrong(&error))?;
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watcher.watch(&heard))
            .map_err(|error| wrong(&error))?;
        Ok(Self { news, orders, tag_versions, end: words })
    }

    /// Waits for news; for ever if there will be none.
    pub(super) async fn next(&mut self) -> News {
        let Self { news, orders, .. } = self;
        let order = async {
            match orders {
                Some(orders) => orders.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(order) = order => News::Order(order),
            Some(news) = news.recv() => news,
            else => std::future::pending().await,
        }
    }

    /// Returns whether somebody looks on.
    pub(super) fn is_live(&self) -> bool {
        self.orders.is_some()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ended = self.end.send(Word::End);
    }
}

/// What the thread hears.
enum Word {
    Event(notify::Result<notify::Event>),
    End,
}

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    length: u64,
    number: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    let modified = (data.mtime(), data.mtime_nsec());
    Some(Stamp { modified, length: data.len(), number: data.ino() })
}

/// The thread's own.
struct Watcher {
    compile: Compile,
    sources: Sources,
    registry: Arc<Registry>,
    /// The program and the options that run.
    running: (Arc<crate::script::Program>, serde_json::Value),
    /// What was last said against what was saved.
    refused: Option<Refusal>,
    /// The files as they were when they were last read; those that are not there have none.
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
    folders: BTreeSet<PathBuf>,
    notices: RecommendedWatcher,
    outbox: UnboundedSender<News>,
}

impl Watcher {
    fn watch(mut self, heard: &Receiver<Word>) {
        loop {
            match heard.recv_timeout(LOOK) {
                Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.look_at_new(),
                Ok(Word::Event(event)) => {
                    let saved = clock::now();
                    let Some(paths) = settle(heard, event) else { return };
                    self.look_at_new();
                    if self.concerns(&paths) {
                        self.wait_for_files();
                        self.compile(saved);
                    }
                    if self.outbox.is_closed() {
                        return;
                    }
                }
            }
        }
    }

    /// Watches the folders of all files, and remembers the files as they are.
    ///
    /// Folders, as editors put another file in a file's place.
    fn look_at_all(&mut self) -> notify::Result<()> {
        for file in self.sources.all() {
            self.look_at_folder(&file)?;
            // Those that are known were read after they were stamped.
            if !self.stamps.contains_key(&file) {
                let known = self.stamp_as_read(&file);
                self.stamps.insert(file, known);
            }
        }
        Ok(())
    }

    fn look_at_folder(&mut self, file: &Path) -> notify::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        if self.folders.insert(folder.to_owned()) {
            self.notices.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }

    /// Remembers files that iterations have read.
    fn look_at_new(&mut self) {
        for file in self.sources.all() {
            if !self.stamps.contains_key(&file) {
                let known = self.stamp_as_read(&file);
                self.stamps.insert(file.clone(), known);
                // What cannot be watched is not reloaded; the run goes on.
                let _unwatched = self.look_at_folder(&file);
            }
        }
    }

    /// Returns the stamp of a file if it is still as it was read: it may have been saved since.
    fn stamp_as_read(&self, file: &Path) -> Option<Stamp> {
        let now = stamp(file);
        let holds = self.sources.reads.as_ref().is_none_or(|reads| reads.holds(file));
        now.filter(|_| holds)
    }

    /// Returns whether what happened to these paths can change the test.
    fn concerns(&self, paths: &BTreeSet<PathBuf>) -> bool {
        if self.stamps.iter().any(|(path, known)| stamp(path) != *known) {
            return true;
        }
        let could_be = |path: &PathBuf| {
            let kind = path.extension().and_then(|kind| kind.to_str());
            !self.stamps.contains_key(path) && kind.is_some_and(|kind| KINDS.contains(&kind))
        };
        // A module that was missing has no stamp.
        self.refused.is_some() && paths.iter().any(could_be)
    }

    /// Waits for files that were there before and are being put back.
    fn wait_for_files(&self) {
        let until = clock::now() + GONE_MAX;
        // Others empty a file before they fill it.
        let filled = |stamp: &Stamp| stamp.length > 0;
        let gone = |(path, known): (&PathBuf, &Option<Stamp>)| {
            known.is_some_and(|known| filled(&known))
                && !stamp(path).is_some_and(|now| filled(&now))
        };
        while self.stamps.iter().any(gone) && clock::now() < until {
            std::thread::sleep(QUIET);
        }
    }

    fn compile(&mut self, saved: Instant) {
        let mut changed = Vec::new();
        for (path, known) in &mut self.stamps {
            let now = stamp(path);
            if now != *known {
                *known = now;
                changed.push(path.clone());
            }
        }
        let data = &self.sources.data;
        let same = !data.files().iter().any(|file| changed.iter().any(|path| path == file));
        let before = Before {
            metrics: Arc::clone(&self.registry),
            data: (same && data.are_whole()).then(|| Arc::clone(data)),
        };
        let Compiled { mut sources, result } = (self.compile)(&before);
        let read = sources.all();
        let news = match result {
            Ok((test, events)) => {
                // Of data, and of what iterations read, the texts are not at hand.
                let same = same
                    && changed.iter().all(|path| read.contains(path))
                    && test.program.has_same_text(&self.running.0)
                    && test.options == self.running.1;
                let mended = self.refused.take().is_some();
                if !same {
                    self.stamps.retain(|path, _| read.contains(path));
                    self.sources = sources;
                    self.registry = Arc::clone(&test.registry);
                    self.running = (Arc::clone(&test.program), test.options.clone());
                    Some(News::Compiled(Box::new(test), events, saved))
                } else if mended {
                    Some(News::Mended)
                } else {
                    None
                }
            }
            Err(refusal) => {
                // What was read before the error may be less than what the test consists of; and what
                // runs still reads modules.
                self.sources.files.extend(read);
                self.sources.files.sort();
                self.sources.files.dedup();
                let known = self.refused.replace(refusal.clone());
                (known.as_ref() != Some(&refusal)).then_some(News::Refused(refusal))
            }
        };
        let _unwatched = self.look_at_all();
        if let Some(news) = news {
            let _ended = self.outbox.send(news);
        }
    }
}

/// Waits until a save is over; returns what has happened to which paths, nothing at the end.
fn settle(
    heard: &Receiver<Word>,
    first: notify::Result<notify::Event>,
) -> Option<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    let mut note = |event: notify::Result<notify::Event>| {
        // Reading, as compiling does, is no news.
        let Ok(event) = event else { return false };
        let told = !event.kind.is_access();
        if told {
            paths.extend(event.paths);
        }
        told
    };
    let until = clock::now() + QUIET_MAX;
    let mut quiet_at = if note(first) { clock::now() + QUIET } else { clock::now() };
    loop {
        let left = quiet_at.min(until).saturating_duration_since(clock::now());
        if left.is_zero() {
            break;
        }
        match heard.recv_timeout(left) {
            Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => break,
            Ok(Word::Event(event)) => {
                if note(event) {
                    quiet_at = clock::now() + QUIET;
                }
            }
        }
    }
    Some(paths)
}
