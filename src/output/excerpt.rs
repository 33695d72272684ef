//! Fits source text with what is underlined in it into the columns that there are.
//!
//! Every character counts as one column.

/// Columns that a tab of source text takes.
const TAB: usize = 4;

/// Returns text with spaces in the place of tabs: as many in each line, so that carets stay below what
/// they underline.
pub(crate) fn without_tabs(text: &str) -> String {
    text.replace('\t', &" ".repeat(TAB))
}

/// Returns the place behind the bar of a line with source text: `12 | text`, `   | ^^^^`.
pub(crate) fn gutter(line: &str) -> Option<usize> {
    let number = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    let bar = number.trim_start().strip_prefix('|')?;
    (bar.is_empty() || bar.starts_with(' ')).then(|| line.len() - bar.len())
}

/// Returns an excerpt in lines of at most `width` columns, moved to the left as a whole if what is underlined would not be seen.
pub(crate) fn fit(lines: &[&str], width: usize, more: char) -> Vec<String> {
    let parts: Vec<(&str, Vec<char>)> = lines
        .iter()
        .map(|line| {
            let (head, text) = line.split_at(gutter(line).unwrap_or(0));
            (head, without_tabs(text).chars().collect())
        })
        .collect();
    let carets = parts.iter().find(|(_, text)| is_underline(text));
    let moved = carets.map_or(0, |(head, text)| {
        let room = width.saturating_sub(length(head)).max(1);
        let first = text.iter().position(|c| *c == '^').unwrap_or(0);
        // Behind the bar stands a space; some of what is before the carets says where one is.
        if text.len() > room { first.saturating_sub(1 + room / 3) } else { 0 }
    });
    parts
        .iter()
        .map(|(head, text)| {
            format!("{head}{}", part(text, moved, width.saturating_sub(length(head)), more))
        })
        .collect()
}

/// Returns the part of a source line that is seen; `more` stands for what is not.
fn part(text: &[char], moved: usize, room: usize, more: char) -> String {
    let underlines = is_underline(text);
    let mut seen: Vec<char> = text.iter().take(1).copied().collect();
    seen.extend(text.iter().skip(1 + moved).take(room.saturating_sub(1)));
    if !underlines && moved > 0 && seen.len() > 1 {
        seen[1] = more;
    }
    if !underlines && text.len() > moved + room && seen.len() > 1 {
        seen.pop();
        seen.push(more);
    }
    seen.into_iter().collect::<String>().trim_end().to_owned()
}

fn is_underline(text: &[char]) -> bool {
    text.contains(&'^') && text.iter().all(|c| matches!(c, ' ' | '^'))
}

fn length(text: &str) -> usize {
    text.chars().count()
}
