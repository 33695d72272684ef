//! Tables whose figures stand below each other and whose names give way where room is short.

use super::style::{Paint, Style, width_of};

/// In which order columns give way, and to which width: names, then what bears more, then names.
const YIELDING: [(Yields, usize); 3] =
    [(Yields::First, 16), (Yields::Later, 10), (Yields::First, 10)];
/// Columns by which rows are indented below their title.
const INDENT: usize = 2;

/// Whether a column gives way where room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Yields {
    Never,
    First,
    Later,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    head: String,
    group: String,
    left: bool,
    yields: Yields,
    gap: usize,
}

impl Column {
    /// Returns a column of names, to the left, which give way.
    pub(super) fn name(head: &str) -> Self {
        Self { left: true, yields: Yields::First, ..Self::figure(head) }
    }

    /// Returns a column of expressions, to the left, which give way after names.
    pub(super) fn expression(head: &str) -> Self {
        Self { left: true, yields: Yields::Later, ..Self::figure(head) }
    }

    /// Returns a column of texts, to the left.
    pub(super) fn text(head: &str) -> Self {
        Self { left: true, ..Self::figure(head) }
    }

    /// Returns a column of figures, to the right.
    pub(super) fn figure(head: &str) -> Self {
        Self {
            head: head.to_owned(),
            group: String::new(),
            left: false,
            yields: Yields::Never,
            gap: INDENT,
        }
    }

    /// Returns the column with a heading that it shares with its neighbors.
    pub(super) fn under(self, group: &str) -> Self {
        Self { group: group.to_owned(), ..self }
    }

    /// Returns the column with another distance from the one before.
    pub(super) fn after(self, gap: usize) -> Self {
        Self { gap, ..self }
    }
}

/// What stands in a column of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    /// Returns whether nothing is shown.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns a cell in the color of what it stands for.
    pub(super) fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: Some(paint) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: None }
    }
}

/// A table with a title.
#[derive(Debug)]
pub(super) struct Table {
    title: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns a table without rows.
    pub(super) fn new(title: &str, columns: Vec<Column>) -> Self {
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row, one cell for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Returns the columns that the widest line takes if no name gives way.
    pub(super) fn width(&self) -> usize {
        self.taken(&self.widths())
    }

    /// Returns the lines: title and heads, then rows. Names give way so that lines fit.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let mut widths = self.widths();
        let mut excess = self.taken(&widths).saturating_sub(style.columns());
        for (yields, least) in YIELDING {
            while excess > 0 {
                let widest = (0..widths.len())
                    .filter(|&at| self.columns[at].yields == yields && widths[at] > least)
                    .max_by_key(|&at| widths[at]);
                let Some(at) = widest else { break };
                widths[at] -= 1;
                excess -= 1;
            }
        }
        let mut lines = self.heads(style, &widths);
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, column), &width) in row.iter().zip(&self.columns).zip(&widths) {
                let text = style.fit_middle(&cell.text, width);
                line.push_str(&" ".repeat(column.gap));
                push(&mut line, style, cell.paint, &text, width, column.left);
            }
            lines.push(style.fit_end(line.trim_end()));
        }
        lines
    }

    fn heads(&self, style: Style, widths: &[usize]) -> Vec<String> {
        let mut groups = String::new();
        let mut heads = String::new();
        let mut at = 0;
        while at < self.columns.len() {
            let group = &self.columns[at].group;
            let same = self.columns[at..].iter().take_while(|column| column.group == *group);
            let end = at + same.count();
            for (column, &width) in self.columns[at..end].iter().zip(&widths[at..end]) {
                heads.push_str(&" ".repeat(column.gap));
                push(&mut heads, style, Some(Paint::Quiet), &column.head, width, column.left);
            }
            let room = width_of(&heads) - width_of(&groups);
            push(&mut groups, style, Some(Paint::Quiet), group, room, false);
            at = end;
        }
        let title = style.paint(Paint::Strong, &self.title);
        let lines = [groups, heads];
        let mut lines: Vec<_> = lines
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.trim_end())
            .collect();
        let Some(first) = lines.first_mut() else {
            return if title.is_empty() { Vec::new() } else { vec![style.fit_end(&title)] };
        };
        // The title takes the place of the spaces above the names, or a line of its own.
        let free = first.len() - first.trim_start_matches(' ').len();
        let taken = width_of(&self.title);
        let mut result = Vec::new();
        if title.is_empty() {
            result.push(style.fit_end(first));
        } else if taken < free {
            result.push(style.fit_end(&format!("{title}{}", &first[taken..])));
        } else {
            result.push(style.fit_end(&title));
            result.push(style.fit_end(first));
        }
        result.extend(lines.iter().skip(1).map(|line| style.fit_end(line)));
        result
    }

    fn widths(&self) -> Vec<usize> {
        let cells = |at: usize| self.rows.iter().map(move |row| width_of(&row[at].text));
        let mut widths: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| cells(at).max().unwrap_or(0).max(width_of(&column.head)))
            .collect();
        let mut at = 0;
        while at < widths.len() {
            let group = &self.columns[at].group;
            let same = self.columns[at..].iter().take_while(|column| column.group == *group);
            let end = at + same.count();
            let between: usize = self.columns[at + 1..end].iter().map(|column| column.gap).sum();
            let room = widths[at..end].iter().sum::<usize>() + between;
            widths[at] += width_of(group).saturating_sub(room);
            at = end;
        }
        widths
    }

    fn taken(&self, widths: &[usize]) -> usize {
        self.columns.iter().map(|column| column.gap).sum::<usize>() + widths.iter().sum::<usize>()
    }
}

fn push(
    line: &mut String,
    style: Style,
    paint: Option<Paint>,
    text: &str,
    width: usize,
    left: bool,
) {
    let space = " ".repeat(width.saturating_sub(width_of(text)));
    let text = paint.map_or_else(|| text.to_owned(), |paint| style.paint(paint, text));
    let (before, after) = if left { ("", space.as_str()) } else { (space.as_str(), "") };
    line.push_str(before);
    line.push_str(&text);
    line.push_str(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { color: false, width: 60, unicode: true };

    fn table(names: &[&str]) -> Table {
        let columns = vec![
            Column::name(""),
            Column::figure("count"),
            Column::figure("p50").under("duration in ms"),
            Column::figure("max").under("duration in ms"),
        ];
        let mut table = Table::new("Requests", columns);
        for name in names {
            table.row(vec![(*name).into(), "1,204".into(), "1.20".into(), "31.00".into()]);
        }
        table
    }

    #[test]
    fn figures_end_below_their_heads_and_heads_below_their_groups() {
        insta::assert_snapshot!(table(&["GET /", "POST /notes"]).lines(STYLE).join("\n"), @"
        Requests              duration in ms
                       count      p50    max
          GET /        1,204     1.20  31.00
          POST /notes  1,204     1.20  31.00
        ");
    }

    #[test]
    fn names_give_way_until_the_lines_fit() {
        let long = format!("GET /{}", "very/".repeat(20));
        let lines = table(&[&long]).lines(STYLE);
        assert!(lines.iter().all(|line| width_of(line) <= 60));
        assert!(lines[2].ends_with("1,204     1.20  31.00"), "{}", lines[2]);
        assert!(table(&[&long]).width() > 60);
    }

    #[test]
    fn a_title_that_is_wider_than_the_names_has_its_own_line() {
        let mut table = Table::new("A long title", vec![Column::name(""), Column::figure("n")]);
        table.row(vec!["a".into(), "1".into()]);
        assert_eq!(table.lines(STYLE), ["A long title", "     n", "  a  1"]);
    }
}
