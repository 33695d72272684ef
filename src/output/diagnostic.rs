//! Errors and warnings about a place in a script, in the shape that compilers made familiar.

use super::style::{Paint, Style};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It went wrong.
    Error,
    /// It may go wrong.
    Warning,
}

/// A place in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file as the author knows it.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// In characters, from 1; 0 if it is not known.
    pub column: u32,
    /// How many characters to underline; at least 1 is.
    pub width: u32,
    /// The source line, without its end.
    pub source: &'a str,
}

/// Returns what happened, where, and notes, in lines without an end of the last.
///
/// Lines are as long as what they say: source text is not cut.
pub fn diagnostic(
    level: Level,
    message: &str,
    place: Option<Place<'_>>,
    notes: &[String],
    style: Style,
) -> String {
    let (paint, word) = match level {
        Level::Error => (Paint::Bad, "error"),
        Level::Warning => (Paint::Doubtful, "warning"),
    };
    let head = style.paint(paint, word);
    let message = style.paint(Paint::Strong, &format!(": {message}"));
    let mut lines = vec![format!("{head}{message}")];
    let margin = place.map_or(1, |place| place.line.to_string().len());
    let space = " ".repeat(margin);
    if let Some(place) = place {
        let arrow = style.paint(Paint::Place, "-->");
        let Place { file, line, column, .. } = place;
        let column = if column == 0 { String::new() } else { format!(":{column}") };
        lines.push(format!("{space}{arrow} {file}:{line}{column}"));
        lines.extend(source_lines(place, &space, paint, style));
    }
    let sign = style.paint(Paint::Place, "=");
    for note in notes {
        for (at, line) in note.lines().enumerate() {
            let first = if at == 0 { sign.as_str() } else { " " };
            lines.push(format!("{space} {first} {line}").trim_end().to_owned());
        }
    }
    lines.join("\n")
}

fn source_lines(place: Place<'_>, space: &str, paint: Paint, style: Style) -> Vec<String> {
    let bar = style.paint(Paint::Place, &format!("{space} |"));
    let number = style.paint(Paint::Place, &format!("{} |", place.line));
    let source = place.source.trim_end();
    let mut lines = vec![bar.clone(), format!("{number} {source}").trim_end().to_owned()];
    if place.column > 0 {
        let before = place.column as usize - 1;
        // Tabs stay, so that the carets move as far as the source text does.
        let mut indent: String =
            source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let missing = before.saturating_sub(source.chars().count());
        indent.push_str(&" ".repeat(missing));
        let rest = source.chars().count().saturating_sub(before).max(1);
        let carets = "^".repeat((place.width as usize).clamp(1, rest));
        lines.push(format!("{bar} {indent}{}", style.paint(paint, &carets)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { color: false, width: 80, unicode: true };

    fn place(line: u32, column: u32, width: u32, source: &str) -> Place<'_> {
        Place { file: "checkout.luau", line, column, width, source }
    }

    fn notes(notes: &[&str]) -> Vec<String> {
        notes.iter().map(|note| (*note).to_owned()).collect()
    }

    #[test]
    fn an_error_shows_its_line_and_underlines_its_columns() {
        let place = place(41, 18, 8, "    local id = order.item.id");
        let notes = notes(&[
            "in function `buy`, scenario `buyers`, first seen at VU 3, iteration 12; 118 times since",
        ]);
        let text =
            diagnostic(Level::Error, "attempt to index nil with 'id'", Some(place), &notes, PLAIN);
        insta::assert_snapshot!(text, @"
        error: attempt to index nil with 'id'
          --> checkout.luau:41:18
           |
        41 |     local id = order.item.id
           |                  ^^^^^^^^
           = in function `buy`, scenario `buyers`, first seen at VU 3, iteration 12; 118 times since
        ");
    }

    #[test]
    fn the_margin_grows_with_the_line_number_and_notes_may_have_several_lines() {
        let place = place(1204, 1, 4, "fail(\"sold out\")");
        let notes = notes(&[
            "stack:\n  pay at checkout.luau:1204\n  buy at checkout.luau:12",
            "help: restock",
        ]);
        let text = diagnostic(Level::Warning, "sold out", Some(place), &notes, PLAIN);
        insta::assert_snapshot!(text, @r#"
        warning: sold out
            --> checkout.luau:1204:1
             |
        1204 | fail("sold out")
             | ^^^^
             = stack:
                 pay at checkout.luau:1204
                 buy at checkout.luau:12
             = help: restock
        "#);
    }

    #[test]
    fn an_unknown_column_has_neither_carets_nor_a_number() {
        let text =
            diagnostic(Level::Error, "out of memory", Some(place(7, 0, 1, "  buy()")), &[], PLAIN);
        insta::assert_snapshot!(text, @"
        error: out of memory
         --> checkout.luau:7
          |
        7 |   buy()
        ");
    }

    #[test]
    fn without_a_place_there_are_the_message_and_the_notes() {
        let text = diagnostic(Level::Error, "no script", None, &notes(&["name one"]), PLAIN);
        assert_eq!(text, "error: no script\n  = name one");
    }

    #[test]
    fn tabs_stay_below_tabs_and_characters_count_not_bytes() {
        let carets = |column, width, source| {
            let text =
                diagnostic(Level::Error, "e", Some(place(1, column, width, source)), &[], PLAIN);
            text.lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(carets(3, 2, "\t\tid()"), "  | \t\t^^");
        assert_eq!(carets(5, 2, "\"ü\" id"), "  |     ^^");
        assert_eq!(carets(3, 99, "a bc"), "  |   ^^");
        assert_eq!(carets(9, 3, "end"), "  |         ^");
        assert_eq!(carets(1, 0, ""), "  | ^");
    }

    #[test]
    fn colors_are_those_of_rustc() {
        let style = Style { color: true, ..PLAIN };
        let text = diagnostic(Level::Error, "m", Some(place(4, 1, 1, "x")), &notes(&["n"]), style);
        let blue = "\u{1b}[1;34m";
        let off = "\u{1b}[0m";
        assert_eq!(
            text,
            format!(
                "\u{1b}[1;31merror{off}\u{1b}[1m: m{off}\n {blue}-->{off} checkout.luau:4:1\n\
                 {blue}  |{off}\n{blue}4 |{off} x\n{blue}  |{off} \u{1b}[1;31m^{off}\n  {blue}={off} n"
            )
        );
    }
}
