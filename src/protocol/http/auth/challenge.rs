//! Challenges as `www-authenticate` lists them (RFC 9110, 11.6.1): schemes with their parameters.

/// One challenge of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// In lower case.
    pub(super) scheme: String,
    /// Names in lower case, values without their quotes.
    params: Vec<(String, String)>,
}

impl Listed {
    /// Returns a parameter by its name in lower case.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the challenges of one header line. What is not understood ends the reading.
///
/// A comma separates challenges as well as parameters: what has a word before its name begins a
/// challenge.
pub(super) fn read(line: &str) -> Vec<Listed> {
    let mut list: Vec<Listed> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return list;
        }
        let value = after.trim_start_matches([' ', '\t']);
        if let Some(value) = value.strip_prefix('=').filter(|_| !list.is_empty()) {
            let Some((value, after)) = read_value(value.trim_start_matches([' ', '\t'])) else {
                return list;
            };
            if let Some(last) = list.last_mut() {
                last.params.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            list.push(Listed { scheme: word.to_ascii_lowercase(), params: Vec::new() });
            // What Negotiate has in the place of parameters (`token68`) is nothing to us.
            let (skipped, after) = token68(value);
            rest = if skipped.is_empty() { value } else { after };
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// Returns what stands in the place of parameters: it is followed by a comma or nothing, where a
/// parameter's name is followed by its value.
fn token68(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let rest = &text[end..];
    let after = rest.trim_start_matches('=');
    let is_whole = after.is_empty() || after.starts_with([',', ' ']);
    // A lone word before a comma is the next scheme, unless padding says otherwise.
    if end > 0 && is_whole && (rest.len() > after.len() || after.is_empty()) {
        (&text[..end], after)
    } else {
        ("", text)
    }
}

fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, after) = token(text);
        return Some((word.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schemes(line: &str) -> Vec<String> {
        read(line).into_iter().map(|listed| listed.scheme).collect()
    }

    #[test]
    fn a_list_of_challenges_is_taken_apart() {
        let list =
            read(r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm=x"#);
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].scheme, "newauth");
        assert_eq!(list[0].param("title"), Some("Login to \"apps\""));
        assert_eq!((list[0].param("type"), list[1].param("realm")), (Some("1"), Some("x")));
        assert_eq!(list[1].param("title"), None);
    }

    #[test]
    fn schemes_without_parameters_and_with_tokens_are_passed_over() {
        assert_eq!(
            schemes("Negotiate, Digest nonce=\"a,b\" , Basic"),
            ["negotiate", "digest", "basic"]
        );
        assert_eq!(schemes("Negotiate YII/=, Digest nonce=a"), ["negotiate", "digest"]);
        assert_eq!(schemes(",, DIGEST  nonce = \"a\""), ["digest"]);
        assert_eq!(read("Digest  nonce = \"a\"")[0].param("nonce"), Some("a"));
    }

    #[test]
    fn what_breaks_off_has_no_value() {
        assert_eq!(read(r#"Digest realm="open, nonce=x"#)[0].param("nonce"), None);
        assert_eq!(read("=x"), []);
    }

    proptest! {
        #[test]
        fn any_line_is_read_to_its_end(line in "[ -~]{0,60}") {
            prop_assert!(read(&line).len() <= line.len());
        }
    }
}
