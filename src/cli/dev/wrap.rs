//! Fits messages into the screen of `kingtide dev`: words go to the next line, source text moves
//! sideways so that what is underlined is seen.
//!
//! Every character counts as one column.

use crate::output::excerpt;

/// Returns an error as compilers say it in lines of at most `width` columns.
pub(super) fn diagnostic(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let lines: Vec<&str> = text.lines().collect();
    let mut fitted = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let excerpt = lines[at..].iter().take_while(|line| excerpt::gutter(line).is_some()).count();
        if excerpt > 0 {
            fitted.extend(excerpt::fit(&lines[at..at + excerpt], width, '…'));
            at += excerpt;
        } else {
            fitted.extend(words(lines[at], width));
            at += 1;
        }
    }
    fitted
}

/// Returns a line in lines of at most `width` columns, broken at spaces; those that follow are
/// indented as far as what it says.
pub(super) fn words(line: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let line = line.replace('\t', "  ");
    if length(&line) <= width {
        return vec![line];
    }
    let start = says_from(&line);
    let (head, mut rest) = line.split_at(start);
    // Where little is left, an indentation would take it all.
    let indent = if length(head) <= width / 3 { length(head) } else { 0 };
    let mut fitted = Vec::new();
    let mut begin = head.to_owned();
    loop {
        let room = width.saturating_sub(length(&begin)).max(1);
        let end = break_at(rest, room);
        fitted.push(format!("{begin}{}", rest[..end].trim_end()));
        rest = rest[end..].trim_start();
        if rest.is_empty() {
            return fitted;
        }
        begin = " ".repeat(indent);
    }
}

/// Returns where a line ends that has room for so many columns: behind the last space that fits, or in
/// the midst of a word that does not.
fn break_at(text: &str, room: usize) -> usize {
    let Some((full, _)) = text.char_indices().nth(room) else { return text.len() };
    // A space behind the last column does not need to fit.
    let reach = full + text[full..].chars().next().map_or(0, char::len_utf8);
    match text[..reach].rfind(' ') {
        Some(space) if !text[..space].trim().is_empty() => space + 1,
        _ => full,
    }
}

/// Returns where what a line says begins: behind spaces, the sign of a note or of a place, and the word
/// `error:`.
fn says_from(line: &str) -> usize {
    let mut rest = line.trim_start();
    for sign in ["= help: ", "= ", "--> ", "error: ", "warning: ", "info: "] {
        if let Some(behind) = rest.strip_prefix(sign) {
            rest = behind;
            break;
        }
    }
    line.len() - rest.len()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str, width: usize) -> String {
        let lines = diagnostic(text, width);
        assert!(lines.iter().all(|line| length(line) <= width), "{lines:#?}");
        lines.join("\n")
    }

    const ERROR: &str = concat!(
        "error: http.get: params: unknown argument `timout`, did you mean `timeout`?\n",
        "  --> a/folder/with/a/long/name/checkout.luau:41:61\n",
        "   |\n",
        "41 |     local answer = http.get(BASE .. \"/api/orders/recent\", { timout = \"2s\", redirects = 0 })\n",
        "   |                                                             ^^^^^^\n",
        "   = in function `buy`, scenario `buyers`, first seen at VU 3, iteration 12\n",
        "   = help: the params of a request stand in docs/http.md",
    );

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(fitted(ERROR, 100), ERROR);
    }

    #[test]
    fn words_go_to_the_next_line_and_carets_stay_below_their_text() {
        insta::assert_snapshot!(fitted(ERROR, 48), @r#"
        error: http.get: params: unknown argument
               `timout`, did you mean `timeout`?
          --> a/folder/with/a/long/name/checkout.luau:41
              :61
           |
        41 | …s/recent", { timout = "2s", redirects = 0…
           |               ^^^^^^
           = in function `buy`, scenario `buyers`, first
             seen at VU 3, iteration 12
           = help: the params of a request stand in
                   docs/http.md
        "#);
    }

    #[test]
    fn carets_that_fit_leave_the_source_where_it_is() {
        let text = "error: e\n1 | fn iteration(data) { let a = 1; let b = 2; }\n  |    ^^^^^^^^^";
        insta::assert_snapshot!(fitted(text, 30), @"
        error: e
        1 | fn iteration(data) { let …
          |    ^^^^^^^^^
        ");
    }

    #[test]
    fn tabs_take_as_much_in_both_lines_and_long_underlines_are_cut() {
        let text = "error: e\n7 | \t\tcall(abc)\n  | \t\t^^^^^^^^^";
        insta::assert_snapshot!(fitted(text, 18), @"
        error: e
        7 | …    call(abc)
          |      ^^^^^^^^^
        ");
    }

    #[test]
    fn long_words_are_cut_and_no_width_is_too_small() {
        assert_eq!(
            words("error: http://127.0.0.1:7380/api", 16),
            ["error: http://12", "7.0.0.1:7380/api"]
        );
        for width in 0..60 {
            let lines = diagnostic(ERROR, width);
            assert!(!lines.is_empty() && lines.len() < 500, "{width}");
        }
    }
}
