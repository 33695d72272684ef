//! Which series of a metric are meant: `http_req_duration{scenario:buy,url:*/api/*}`.

use std::time::Duration;

use super::{MetricId, Registry, Tags};

/// A text that selects nothing that there can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// A metric, or a submetric of it: the series whose tags match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    metric: MetricId,
    text: String,
    tags: Vec<(String, Pattern)>,
    window: Option<Duration>,
}

impl Selector {
    /// Reads `metric` or `metric{tag:value,...}`. Values may hold `*` and `?`, and may stand in
    /// quotes; spaces around keys and values do not count.
    ///
    /// # Errors
    /// If there is no such metric, or the tags are not written so.
    pub fn parse(text: &str, registry: &Registry) -> Result<Self, SelectorError> {
        let text = text.trim();
        let (name, tags) = match text.split_once('{') {
            None => (text, None),
            Some((name, rest)) => {
                let inner = rest.strip_suffix('}').ok_or_else(|| {
                    SelectorError(format!("selector {text:?}: end the tags with a }}"))
                })?;
                (name.trim(), Some(inner))
            }
        };
        let metric = registry.find(name).ok_or_else(|| unknown(name, registry))?;
        let tags = match tags {
            None => Vec::new(),
            Some(inner) => parse_tags(inner)
                .map_err(|reason| SelectorError(format!("selector {text:?}: {reason}")))?,
        };
        Ok(Self::build(name, metric, tags))
    }

    /// Returns the selector of a metric's series that have these tags; values are meant literally.
    pub fn new(registry: &Registry, metric: MetricId, tags: &[(&str, &str)]) -> Self {
        let tags = tags
            .iter()
            .map(|&(key, value)| (key.to_owned(), Pattern { text: value.to_owned(), glob: false }));
        Self::build(&registry.definition(metric).name, metric, tags.collect())
    }

    /// Returns the selector of the same series in a sliding window of the last `length`.
    #[must_use]
    pub fn over(self, length: Duration) -> Self {
        Self { window: Some(length), ..self }
    }

    /// Returns the length of the sliding window; `None` for all since the start.
    pub fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Returns the metric.
    pub fn metric(&self) -> MetricId {
        self.metric
    }

    /// Returns the selector in one spelling, without spaces, needless quotes and window.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether this is a submetric, not the metric as a whole.
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Returns whether the selector says something about a tag.
    pub(super) fn names(&self, key: &str) -> bool {
        self.tags.iter().any(|(own, _)| own == key)
    }

    /// Returns whether a series with these tags is meant.
    pub(super) fn matches(&self, tags: &Tags) -> bool {
        self.tags.iter().all(|(key, pattern)| tags.get(key).is_some_and(|tag| pattern.matches(tag)))
    }

    fn build(name: &str, metric: MetricId, tags: Vec<(String, Pattern)>) -> Self {
        let mut text = name.to_owned();
        if !tags.is_empty() {
            let tags: Vec<_> = tags
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), quoted(&value.text)))
                .collect();
            text = format!("{name}{{{}}}", tags.join(","));
        }
        Self { metric, text, tags, window: None }
    }
}

/// A tag's value, or how it may look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// Whether `*` and `?` stand for any characters and any one.
    glob: bool,
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        if self.glob { glob_matches(&self.text, value) } else { self.text == value }
    }
}

/// Matches greedily and, where that fails, lets the last `*` take one character more.
fn glob_matches(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    let (mut p, mut v) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(&c) if c == '?' || c == value[v] => {
                p += 1;
                v += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                v = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

fn parse_tags(inner: &str) -> Result<Vec<(String, Pattern)>, String> {
    let mut tags: Vec<(String, Pattern)> = Vec::new();
    for part in split_outside_quotes(inner)? {
        let (key, value) = part.split_once(':').map_or((part, ""), |(key, value)| (key, value));
        let (key, value) = (unquoted(key), unquoted(value));
        if key.is_empty() {
            return Err("a tag has no key: write tag:value".to_owned());
        }
        if value.is_empty() {
            return Err(format!("tag {key:?} has no value: write {key}:value, or {key}:*"));
        }
        if tags.iter().any(|(other, _)| other == key) {
            return Err(format!("tag {key:?} stands twice"));
        }
        let glob = value.contains(['*', '?']);
        tags.push((key.to_owned(), Pattern { text: value.to_owned(), glob }));
    }
    Ok(tags)
}

fn split_outside_quotes(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let mut quote = None;
    let mut start = 0;
    // A quotation mark opens a quotation only where a key or a value begins.
    let mut begins = true;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') if begins => quote = Some(c),
            (None, ',') => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        begins = matches!(c, ',' | ':') || (begins && c.is_whitespace());
    }
    if quote.is_some() {
        return Err("a quotation does not end".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .iter()
        .find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
        .trim()
}

fn quoted(value: &str) -> String {
    let plain = !value.contains([',', '"', '\'', ' ']);
    match (plain, value.contains('"')) {
        (true, _) => value.to_owned(),
        (false, false) => format!("\"{value}\""),
        (false, true) => format!("'{value}'"),
    }
}

fn unknown(name: &str, registry: &Registry) -> SelectorError {
    if name.is_empty() {
        return SelectorError("the selector names no metric".to_owned());
    }
    let hint = nearest(name, registry.iter().map(|(_, metric)| metric.name.as_str())).map_or_else(
        || "declare it while the script loads".to_owned(),
        |near| format!("did you mean {near:?}?"),
    );
    SelectorError(format!("there is no metric {name:?}: {hint}"))
}

/// Returns the candidate that takes fewest edits, if they are at most a third of the name.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= (name.chars().count() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tag::Interner;
    use super::super::{TagSetId, builtin};
    use super::*;

    fn parse(text: &str) -> Result<Selector, String> {
        Selector::parse(text, &Registry::new()).map_err(|error| error.0)
    }

    fn matches(selector: &str, tags: &[(&str, &str)]) -> bool {
        let mut interner = Interner::new(10);
        let id = interner.extended(TagSetId::EMPTY, tags);
        parse(selector).unwrap().matches(interner.tags(id))
    }

    #[test]
    fn a_metric_alone_means_all_its_series() {
        let selector = parse(" http_reqs ").unwrap();
        assert_eq!(selector.metric(), builtin::HTTP_REQS);
        assert!(!selector.has_tags());
        assert!(matches("http_reqs", &[]) && matches("http_reqs", &[("a", "b")]));
    }

    #[test]
    fn all_tags_must_match_and_spaces_and_quotes_do_not_count() {
        for text in [
            "http_reqs{scenario:buy,status:200}",
            r#"http_reqs { scenario : "buy" , 'status':'200' }"#,
        ] {
            assert_eq!(parse(text).unwrap().text(), "http_reqs{scenario:buy,status:200}");
            assert!(matches(text, &[("scenario", "buy"), ("status", "200"), ("x", "y")]));
            assert!(!matches(text, &[("scenario", "buy"), ("status", "201")]));
            assert!(!matches(text, &[("scenario", "buy")]));
        }
    }

    #[test]
    fn a_value_may_hold_colons_and_when_quoted_commas() {
        assert!(matches("http_reqs{url:http://a:8080/x}", &[("url", "http://a:8080/x")]));
        assert!(matches("http_reqs{group:::main}", &[("group", "::main")]));
        let quoted = r#"http_reqs{name:"a, b",method:GET}"#;
        assert!(matches(quoted, &[("name", "a, b"), ("method", "GET")]));
        assert_eq!(parse(quoted).unwrap().text(), quoted);
        assert!(matches("http_reqs{name:it's}", &[("name", "it's")]));
    }

    #[test]
    fn globs_match_any_characters_and_any_one() {
        let tags = [("url", "http://a/api/notes/17")];
        for value in ["*", "*/notes/*", "http://?/api/notes/1?", "*17", "http*", "*a*a*"] {
            assert!(matches(&format!("http_reqs{{url:{value}}}"), &tags), "{value}");
        }
        for value in ["*/notes", "?", "http://?/api/notes/1??", "*b*"] {
            assert!(!matches(&format!("http_reqs{{url:{value}}}"), &tags), "{value}");
        }
        assert!(!matches("http_reqs{name:*}", &tags));
    }

    #[test]
    fn a_literal_selector_takes_stars_as_they_are() {
        let registry = Registry::new();
        let selector = Selector::new(&registry, builtin::VUS, &[("scenario", "a*")]);
        let mut interner = Interner::new(10);
        let star = interner.extended(TagSetId::EMPTY, &[("scenario", "a*")]);
        let other = interner.extended(TagSetId::EMPTY, &[("scenario", "ab")]);
        assert!(selector.matches(interner.tags(star)) && !selector.matches(interner.tags(other)));
    }

    #[test]
    fn what_is_written_wrongly_is_an_error_with_the_remedy() {
        for (text, part) in [
            ("http_reqs{scenario}", "\"scenario\" has no value"),
            ("http_reqs{scenario:}", "\"scenario\" has no value"),
            ("http_reqs{scenario:\"\"}", "\"scenario\" has no value"),
            ("http_reqs{}", "no key"),
            ("http_reqs{a:b,}", "no key"),
            ("http_reqs{a:b,a:c}", "twice"),
            ("http_reqs{a:b", "}"),
            ("http_reqs{a:'b}", "quotation"),
            ("http_req_durations", "did you mean \"http_req_duration\"?"),
            ("orders", "there is no metric \"orders\": declare it"),
            ("", "names no metric"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_as_a_search_through_all_splits_does(
            pattern in "[ab*?]{0,6}",
            value in "[abé]{0,6}",
        ) {
            fn search(pattern: &[char], value: &[char]) -> bool {
                match pattern.split_first() {
                    None => value.is_empty(),
                    Some(('*', rest)) => (0..=value.len()).any(|at| search(rest, &value[at..])),
                    Some((&c, rest)) => value.split_first().is_some_and(|(&first, others)| {
                        (c == '?' || c == first) && search(rest, others)
                    }),
                }
            }
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob_matches(&pattern, &value), search(&chars(&pattern), &chars(&value)));
        }

        #[test]
        fn reading_never_panics_and_the_printed_form_means_the_same(text in "http_reqs\\{[ab:,\"'* ]{0,12}\\}") {
            if let Ok(selector) = parse(&text)
                && !selector.tags.iter().any(|(key, value)| {
                    key.contains(['"', '\'', ' ']) || value.text.contains(['"', '\''])
                })
            {
                prop_assert_eq!(parse(selector.text()).unwrap(), selector);
            }
        }
    }
}
