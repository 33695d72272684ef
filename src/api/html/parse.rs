//! From text to a document, within limits.
//!
//! The text goes to html5ever in pieces, so that what grows beyond a limit is noticed before it is
//! expensive: the parser looks through all open elements at each tag, and through all attributes of a
//! tag at each of its attributes.

use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::{ParseOpts, parse_document};

use super::document::Document;
use super::draft::{ATTRIBUTES_MAX, DEPTH_MAX, Draft};
use crate::api::{ApiError, ErrorKind};

/// Bytes that the parser gets at a time.
const PIECE: usize = 4 << 10;

/// Longest text, in bytes: places in it are counted in 32 bits.
const TEXT_MAX: usize = 1 << 30;

/// Parses a text as a document. Whatever it is, it is one: HTML knows no text that cannot be read.
///
/// # Errors
/// If the document takes more than `bytes_max` bytes, or is nested deeper than 512 elements, or an
/// element has more than 8,192 attributes. `place` begins the message.
pub(super) fn parse(place: &str, text: &str, bytes_max: usize) -> Result<Document, ApiError> {
    let too_large = || {
        let message = format!(
            "{place}: the document takes more than the script's memory may be: {bytes_max} bytes"
        );
        ApiError::new(ErrorKind::Size, message)
    };
    if text.len() > bytes_max.min(TEXT_MAX) {
        return Err(too_large());
    }
    if attributes_max(text) > ATTRIBUTES_MAX {
        return Err(ApiError::new(
            ErrorKind::Size,
            format!("{place}: an element has more than {ATTRIBUTES_MAX} attributes"),
        ));
    }
    let mut parser = parse_document(Draft::new(), ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE.min(rest.len())));
        parser.process(StrTendril::from_slice(piece));
        rest = after;
        let draft = &parser.tokenizer.sink.sink;
        if draft.is_too_deep() {
            return Err(ApiError::new(
                ErrorKind::Size,
                format!("{place}: the document is nested deeper than {DEPTH_MAX} elements"),
            ));
        }
        if draft.bytes() > bytes_max {
            return Err(too_large());
        }
    }
    Ok(Document::new(parser.finish()))
}

/// Returns at least how many attributes the tag has that has most.
///
/// It reads tags as the tokenizer does, but knows of script, style and comments only that they hold
/// none.
fn attributes_max(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut most = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'<') {
        at += found + 1;
        let rest = &bytes[at..];
        if rest.starts_with(b"!--") {
            at += end_of(rest, b"-->");
        } else if rest.first().is_some_and(u8::is_ascii_alphabetic) {
            let (count, length) = attributes(rest);
            most = most.max(count);
            at += length;
            for (name, end) in [(&b"script"[..], &b"</script"[..]), (b"style", b"</style")] {
                if has_name(rest, name) {
                    at += end_of(&bytes[at..], end);
                }
            }
        }
    }
    most
}

fn has_name(tag: &[u8], name: &[u8]) -> bool {
    tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && tag.get(name.len()).is_none_or(|next| !next.is_ascii_alphanumeric())
}

/// Returns where something begins, in any case; all that is there if it is nowhere.
fn end_of(bytes: &[u8], end: &[u8]) -> usize {
    let found = bytes.windows(end.len()).position(|window| window.eq_ignore_ascii_case(end));
    found.unwrap_or(bytes.len())
}

/// Returns how many attributes a tag has, and where it ends. It begins with its name.
fn attributes(tag: &[u8]) -> (usize, usize) {
    let is_gap = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'/';
    let skip = |at: usize, stop: &dyn Fn(&u8) -> bool| {
        tag[at..].iter().position(stop).map_or(tag.len(), |found| at + found)
    };
    let mut count = 0;
    let mut at = skip(0, &|byte| is_gap(byte) || *byte == b'>');
    loop {
        at = skip(at, &|byte| !is_gap(byte));
        if tag.get(at).is_none_or(|byte| *byte == b'>') {
            return (count, at);
        }
        count += 1;
        // A name may begin with `=`.
        at = skip(at + 1, &|byte| is_gap(byte) || matches!(byte, b'>' | b'='));
        let equals = skip(at, &|byte| !byte.is_ascii_whitespace());
        if tag.get(equals) != Some(&b'=') {
            continue;
        }
        at = skip(equals + 1, &|byte| !byte.is_ascii_whitespace());
        at = match tag.get(at) {
            Some(quote @ (b'"' | b'\'')) => {
                (skip(at + 1, &|byte| byte == quote) + 1).min(tag.len())
            }
            _ => skip(at, &|byte| byte.is_ascii_whitespace() || *byte == b'>'),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::document::ROOT;
    use super::*;

    fn read(text: &str) -> Result<Document, ApiError> {
        parse("html.parse", text, 64 << 20)
    }

    fn message(text: &str) -> String {
        read(text).err().expect("an error").message
    }

    #[test]
    fn nesting_is_limited_and_what_is_within_is_whole() {
        let document = read(&"<div>".repeat(500)).unwrap();
        assert_eq!(document.len(), 1 + 3 + 500);
        let text = format!("{}x{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
        assert_eq!(message(&text), "html.parse: the document is nested deeper than 512 elements");
        for tag in ["<b>", "<a href=x><table>", "<svg>", "<table><tr><td>", "<select><option>"] {
            // Some of these cannot be nested; none may be expensive.
            let _ = read(&tag.repeat(100_000));
        }
    }

    #[test]
    fn a_document_that_multiplies_is_stopped() {
        let mut text = String::from("<p>");
        for number in 0..400 {
            write!(text, "<b a={number}>").unwrap();
        }
        // Each paragraph opens all of them again.
        text.push_str(&"<p>x</p>".repeat(10_000));
        let message = parse("html.parse", &text, 16 << 20).err().unwrap().message;
        assert_eq!(
            message,
            "html.parse: the document takes more than the script's memory may be: 16777216 bytes"
        );
        assert!(parse("html.parse", "xx", 1).is_err());
    }

    #[test]
    fn attributes_are_counted_as_the_tokenizer_counts_them() {
        let cases = [
            ("<a b c='d e' f=\"g h\" i=j/k l = m>", 5),
            ("a < b <c>d e f", 0),
            ("<a/b/c>", 2),
            ("<a =b=c>", 1),
            ("<a b='>' c>", 2),
            ("<!-- <a b c d> --><a b>", 1),
            ("<script>if (a<b && c d e f g) x</script><a b>", 1),
            ("<STYLE>a <b c d e</style ><i j k>", 2),
            ("<a b c", 2),
            ("<a b='", 1),
        ];
        for (text, count) in cases {
            assert_eq!(attributes_max(text), count, "{text}");
        }
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
            format!("<p {}>x", names.join(" "))
        };
        assert_eq!(read(&many(8_000)).unwrap().attributes(4).count(), 8_000);
        assert_eq!(message(&many(100_000)), "html.parse: an element has more than 8192 attributes");
        let again = format!("<html a=1>{}", "<body b=1 c=2>".repeat(1_000));
        assert_eq!(read(&again).unwrap().attributes(3).count(), 2);
    }

    #[test]
    fn whatever_the_text_there_is_a_document() {
        let cases = [
            ("", ""),
            ("\0a\0", "\u{fffd}a\u{fffd}"),
            (
                "&amp &#x; &#xD800; &#99999999; &noSuchEntity; &lt",
                "& &#x; \u{fffd} \u{fffd} &noSuchEntity; <",
            ),
            ("<p>a<p>b</i></p></p>c", "abc"),
            ("<b><p>x</b>y", "xy"),
            ("<table>a<tr><td>b</table>c", "abc"),
            ("<div", ""),
            ("<!-- x", ""),
            ("<![CDATA[x]]>y", "y"),
            ("<textarea></p>x", "</p>x"),
            ("<template><p>x</template>", "x"),
            ("<svg><a xlink:href=x>y</a></svg>", "y"),
            ("\u{feff}x", "x"),
        ];
        for (text, wanted) in cases {
            let found = read(text).unwrap().text(ROOT).replace('\0', "\u{fffd}");
            // A NUL is left out in a body.
            assert_eq!(found.replace('\u{fffd}', ""), wanted.replace('\u{fffd}', ""), "{text:?}");
        }
    }

    #[test]
    fn pieces_do_not_show() {
        let text =
            "<p title='ä&amp;é'>Grüße, 世界 &hellip; 🌊</p><script>a && b</script>".repeat(300);
        let document = read(&text).unwrap();
        assert_eq!(document.text(ROOT), "Grüße, 世界 … 🌊a && b".repeat(300));
    }

    /// Text that looks like HTML, mostly broken.
    fn soup() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "<(div|p|table|tr|td|b|a|form|select|option|template|svg|math|script|title|html|body|frameset|mi|li|annotation-xml)( [a-z]{1,3}(='[^']{0,4}'?)?){0,2}/?>?",
            "</(div|p|table|tr|b|a|form|select|template|svg|script|title|html|body|br)>?",
            "&#?x?[a-z0-9]{0,6};?",
            "<!--.{0,4}-?-?>?|<!doctype [a-z]{0,4}>?|<\\?.{0,3}>|<!\\[CDATA\\[.{0,3}",
            ".{0,8}",
            "\\PC{0,4}",
            Just("\0".to_owned()),
        ];
        proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    /// Checks what all else relies on.
    fn check(document: &Document) {
        let mut seen = 0;
        let mut text = String::new();
        for node in 0..document.len() {
            seen += 1;
            let below = document.below(node);
            assert!(below.end <= document.len() && below.start <= below.end);
            let children: Vec<u32> = document.children(node).collect();
            for (index, child) in children.iter().enumerate() {
                assert_eq!(document.parent(*child), Some(node));
                let previous = index.checked_sub(1).map(|index| children[index]);
                assert_eq!(document.previous(*child), previous);
                assert_eq!(document.next(*child), children.get(index + 1).copied());
            }
            let elements: Vec<u32> = document.elements(children.into_iter()).collect();
            for (position, child) in (1..).zip(&elements) {
                let element = document.element(*child).unwrap();
                assert_eq!((element.position, element.siblings), (position, elements.len() as u32));
            }
            if document.kind(node) == super::super::document::Kind::Text {
                text.push_str(document.text(node));
            }
        }
        assert_eq!((seen, text.as_str()), (document.len(), document.text(ROOT)));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_the_layout_holds(text in soup()) {
            check(&read(&text).unwrap());
        }

        #[test]
        fn bytes_that_mean_nothing_are_documents_too(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            check(&read(&String::from_utf8_lossy(&bytes)).unwrap());
        }
    }
}
