//! The versions of a test that were taken over while it ran.

use super::ReloadResult;
use super::figure;
use super::style::{Paint, Style};

/// Most reloads that the summary shows: an author saves often.
const SHOWN_MAX: usize = 12;

/// Returns a reload in one line, with the time since the save: `reload 2 at 01:04 (45 ms): script`.
pub fn reload_line(reload: &ReloadResult) -> String {
    let changes = match reload.changes.as_slice() {
        [] => "nothing that can change while the test runs".to_owned(),
        changes => changes.join(", "),
    };
    let took = reload.took.as_millis();
    format!("reload {} at {} ({took} ms): {changes}", reload.version, figure::clock(reload.at))
}

/// Returns the section of the summary; nothing if there were none.
pub(super) fn section(reloads: &[ReloadResult], style: Style) -> Vec<String> {
    let Some(last) = reloads.last() else { return Vec::new() };
    let title = style.paint(Paint::Strong, "Reloads");
    let mut lines = vec![format!("{title}  the last figures are of version {}", last.version)];
    let hidden = reloads.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        lines
            .push(style.fit_end(&format!("  {} before", figure::counted(hidden as u64, "reload"))));
    }
    for reload in &reloads[hidden..] {
        lines.extend(style.wrap("  ", &reload_line(reload)));
        lines.extend(reload.left.iter().flat_map(|left| style.wrap("    ", left)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STYLE: Style = Style { color: false, width: 60, unicode: true };

    fn reload(version: u64, changes: &[&str], left: &[&str]) -> ReloadResult {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let at = Duration::from_secs(31 * version);
        let took = Duration::from_millis(45);
        ReloadResult { version, at, took, changes: texts(changes), left: texts(left) }
    }

    #[test]
    fn each_reload_says_when_and_what() {
        let left = ["workers cannot change while the test runs"];
        let reloads = [reload(1, &["script", "env"], &[]), reload(2, &[], &left)];
        insta::assert_snapshot!(section(&reloads, STYLE).join("\n"), @"
        Reloads  the last figures are of version 2
          reload 1 at 00:31 (45 ms): script, env
          reload 2 at 01:02 (45 ms): nothing that can change while
          the test runs
            workers cannot change while the test runs
        ");
    }

    #[test]
    fn of_many_reloads_the_last_are_shown() {
        let reloads: Vec<_> = (1..=30).map(|version| reload(version, &["script"], &[])).collect();
        let lines = section(&reloads, STYLE);
        assert_eq!(lines[1], "  18 reloads before");
        assert_eq!((lines.len(), lines[2].as_str()), (14, "  reload 19 at 09:49 (45 ms): script"));
        assert!(section(&[], STYLE).is_empty());
    }
}
