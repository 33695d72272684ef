//! Facts about the machine and the process, for the results.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Returns what the machine is.
pub(super) fn facts() -> BTreeMap<String, Value> {
    let uname = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    BTreeMap::from([
        ("name".to_owned(), uname.nodename().to_string_lossy().into_owned().into()),
        (
            "os".to_owned(),
            format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            )
            .into(),
        ),
        ("cpus".to_owned(), cpus.into()),
        ("memory_bytes".to_owned(), (memory.totalram * u64::from(memory.mem_unit)).into()),
    ])
}

/// Returns the process's resident memory in bytes; 0 if the system does not tell.
pub(super) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Returns the commit that a file's repository is at, if it lies in one.
pub(super) fn git_commit(file: &Path) -> Option<String> {
    let folder = file.parent()?;
    let git = folder.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let git = if git.is_file() {
        // A worktree: the file names its folder in the repository.
        let text = std::fs::read_to_string(&git).ok()?;
        git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    } else {
        git
    };
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    let common = std::fs::read_to_string(git.join("commondir"))
        .map_or_else(|_| git.clone(), |text| git.join(text.trim()));
    [&git, &common].into_iter().find_map(|root| commit_of(root, name))
}

/// Looks a reference up among the loose ones and the packed ones.
fn commit_of(root: &Path, name: &str) -> Option<String> {
    if let Ok(commit) = std::fs::read_to_string(root.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = std::fs::read_to_string(root.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (commit, reference) = line.split_once(' ')?;
        (reference == name).then(|| commit.to_owned())
    })
}
