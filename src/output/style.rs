//! How text looks: colors, symbols, and what it takes to fit a width.
//!
//! Every character counts as one column.

/// What the place that text goes to can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colors are wanted; nothing is said by color alone.
    pub color: bool,
    /// Columns; fewer than [`Style::WIDTH_MIN`] count as that many.
    pub width: usize,
    /// Whether characters beyond ASCII are shown right.
    pub unicode: bool,
}

/// What a piece of text stands for, and so its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// Headings and what is to be seen first.
    Strong,
    /// What is read last.
    Quiet,
    /// What went well.
    Good,
    /// What went wrong.
    Bad,
    /// What casts doubt.
    Doubtful,
    /// Places in files, and the lines around source text, as rustc has them.
    Place,
}

impl Style {
    /// The least width that text is laid out for.
    pub const WIDTH_MIN: usize = 60;

    /// Returns the style of text that goes to a file.
    pub fn plain() -> Self {
        Self { color: false, width: 100, unicode: true }
    }

    /// Returns the columns that lines may take.
    pub(super) fn columns(self) -> usize {
        self.width.max(Self::WIDTH_MIN)
    }

    /// Returns text in its color.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Strong => "1",
            Paint::Quiet => "2",
            Paint::Good => "32",
            Paint::Bad => "1;31",
            Paint::Doubtful => "1;33",
            Paint::Place => "1;34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Returns the mark of what holds.
    pub(super) fn tick(self) -> &'static str {
        if self.unicode { "✓" } else { "+" }
    }

    /// Returns the mark of what does not hold.
    pub(super) fn cross(self) -> &'static str {
        if self.unicode { "✗" } else { "x" }
    }

    /// Returns what stands where there is no figure.
    pub(super) fn none(self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }

    /// Returns what stands between a group and what is in it.
    pub(super) fn within(self) -> &'static str {
        if self.unicode { " › " } else { " > " }
    }

    fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// Returns text in at most `columns`, cut in the middle, where paths differ least.
    pub(super) fn fit_middle(self, text: &str, columns: usize) -> String {
        let length = text.chars().count();
        if length <= columns {
            return text.to_owned();
        }
        let ellipsis = self.ellipsis();
        let kept = columns.saturating_sub(width_of(ellipsis));
        let (head, tail) = (kept / 2, kept - kept / 2);
        let head: String = text.chars().take(head).collect();
        let tail: String = text.chars().skip(length - tail).collect();
        format!("{head}{ellipsis}{tail}")
    }

    /// Returns a line in at most as many columns as there are, cut at its end; colors end with it.
    pub(super) fn fit_end(self, line: &str) -> String {
        let columns = self.columns();
        if width_of(line) <= columns {
            return line.to_owned();
        }
        let ellipsis = self.ellipsis();
        let kept = columns - width_of(ellipsis);
        let (mut text, mut width, mut painted) = (String::new(), 0, false);
        for piece in pieces(line) {
            match piece {
                Piece::Escape(escape) => {
                    painted = escape != "\u{1b}[0m";
                    text.push_str(escape);
                }
                Piece::Char(c) if width < kept => {
                    text.push(c);
                    width += 1;
                }
                Piece::Char(_) => break,
            }
        }
        text.push_str(ellipsis);
        if painted {
            text.push_str("\u{1b}[0m");
        }
        text
    }

    /// Returns text in lines that fit, broken at spaces; the first begins with `first`, which is as
    /// wide as the indentation of the others.
    pub(super) fn wrap(self, first: &str, text: &str) -> Vec<String> {
        let indent = width_of(first);
        let room = self.columns().saturating_sub(indent).max(1);
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let needed = width_of(&line) + usize::from(!line.is_empty()) + width_of(word);
            if needed > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        let begin = |at: usize| if at == 0 { first.to_owned() } else { " ".repeat(indent) };
        lines
            .into_iter()
            .enumerate()
            .map(|(at, line)| self.fit_end(format!("{}{line}", begin(at)).trim_end()))
            .collect()
    }
}

/// A part of a line: something to see, or an escape sequence.
enum Piece<'a> {
    Char(char),
    Escape(&'a str),
}

fn pieces(line: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        if let Some(inner) = rest.strip_prefix("\u{1b}[") {
            let end = inner.find(char::is_alphabetic).map_or(inner.len(), |at| at + 1);
            let (escape, next) = rest.split_at(2 + end);
            rest = next;
            return Some(Piece::Escape(escape));
        }
        rest = &rest[first.len_utf8()..];
        Some(Piece::Char(first))
    })
}

/// Returns the columns that a line takes, without escape sequences.
pub(super) fn width_of(line: &str) -> usize {
    pieces(line).filter(|piece| matches!(piece, Piece::Char(_))).count()
}

/// Returns a text without escape sequences.
pub(super) fn without_colors(text: &str) -> String {
    pieces(text)
        .filter_map(|piece| match piece {
            Piece::Char(c) => Some(c),
            Piece::Escape(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLORED: Style = Style { color: true, width: 60, unicode: true };
    const PLAIN: Style = Style { color: false, width: 60, unicode: false };

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(COLORED.fit_middle("GET /api/notes", 14), "GET /api/notes");
        assert_eq!(COLORED.fit_middle("GET /api/notes", 9), "GET …otes");
        assert_eq!(PLAIN.fit_middle("GET /api/notes", 9), "GET...tes");
        assert_eq!(COLORED.fit_middle("größer", 4), "g…er");
    }

    #[test]
    fn a_cut_line_ends_its_color() {
        let line = COLORED.paint(Paint::Bad, &"x".repeat(80));
        let cut = COLORED.fit_end(&line);
        assert_eq!(width_of(&cut), 60);
        assert!(cut.ends_with("…\u{1b}[0m"), "{cut:?}");
        assert_eq!(COLORED.fit_end("short"), "short");
    }

    #[test]
    fn colors_take_no_room_and_can_be_left_out() {
        let painted = format!("a{}c", COLORED.paint(Paint::Strong, "b"));
        assert_eq!(painted, "a\u{1b}[1mb\u{1b}[0mc");
        assert_eq!(width_of(&painted), 3);
        assert_eq!(without_colors(&painted), "abc");
        assert_eq!(PLAIN.paint(Paint::Strong, "b"), "b");
    }

    proptest! {
        #[test]
        fn wrapped_lines_fit_and_lose_no_words(text in "[a-zé ]{0,300}", width in 0..120usize) {
            let style = Style { color: false, width, unicode: true };
            let lines = style.wrap("> ", &text);
            prop_assert!(lines.iter().all(|line| width_of(line) <= style.columns()));
            if text.split(' ').all(|word| word.chars().count() <= 50) {
                let all = lines.join(" ");
                let words: Vec<_> = all.trim_start_matches('>').split_whitespace().collect();
                prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_line_is_made_to_fit(line in "\\PC{0,200}", color in any::<bool>()) {
            let style = Style { color, width: 60, unicode: true };
            prop_assert!(width_of(&style.fit_end(&style.paint(Paint::Bad, &line))) <= 60);
        }
    }
}
