//! Paths into JSON documents: `items.0.id`, in the syntax that k6 users know from gjson.
//!
//! A path's leading names and indexes are followed while the document is read, so that only what
//! they lead to is built. Operators (`#`, queries, wildcards) work on what was built. See
//! <https://github.com/tidwall/gjson/blob/master/SYNTAX.md>; modifiers and multipaths are left out.

pub(super) use self::path::Path;

mod find;
mod path;
mod pattern;
mod walk;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeSeed as _;

    use super::Path;
    use crate::api::Value;

    const DOCUMENT: &str = r#"{
        "name": {"first": "Tom", "last": "Anderson"}, "age": 37, "fav.movie": "Deer Hunter",
        "user": {"name": "x", "user": {"id": 5}},
        "children": ["Sara", "Alex", "Jack"], "none": null, "we\u0069rd": 1, "a*b": 2,
        "friends": [
            {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"], "on": true},
            {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"], "on": false},
            {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"], "x": null}
        ]
    }"#;

    fn get(path: &str) -> Option<String> {
        let path = Path::parse(path).unwrap();
        let walked = path.walk().deserialize(&mut serde_json::Deserializer::from_str(DOCUMENT));
        let walked = walked.unwrap();
        let whole: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(walked, path.find(&whole), "reading and looking up must agree");
        walked.map(|value| serde_json::to_string(&value).unwrap())
    }

    fn found(path: &str, wanted: &str) {
        assert_eq!(get(path).as_deref(), Some(wanted), "{path}");
    }

    #[test]
    fn names_and_indexes_lead_to_values() {
        found("name.last", r#""Anderson""#);
        found("age", "37");
        found("children.1", r#""Alex""#);
        found("friends.1.nets.0", r#""fb""#);
        found(r"fav\.movie", r#""Deer Hunter""#);
        found("weird", "1");
        found("none", "null");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in
            ["nope", "name.nope", "children.3", "children.-1", "children.x", "age.x", "none.x"]
        {
            assert_eq!(get(path), None, "{path}");
        }
        assert_eq!(get("user.id"), None, "a name deeper inside is another name");
    }

    #[test]
    fn wildcards_take_the_first_name_that_matches() {
        found("child*.2", r#""Jack""#);
        found("c?ildren.0", r#""Sara""#);
        found(r"a\*b", "2");
        found(r"?\*b", "2");
    }

    #[test]
    fn hash_counts_or_follows_the_path_for_each_element() {
        found("children.#", "3");
        found("friends.#.first", r#"["Dale","Roger","Jane"]"#);
        found("friends.#.nets.#", "[3,2,2]");
        found("friends.#.nope", "[]");
        found("friends.#.first|0", r#""Dale""#);
        assert_eq!(get("name.#"), None);
    }

    #[test]
    fn queries_select_elements() {
        found(r#"friends.#(last=="Murphy").first"#, r#""Dale""#);
        found(r#"friends.#(last=="Murphy")#.first"#, r#"["Dale","Jane"]"#);
        found("friends.#(age>45)#.last", r#"["Craig","Murphy"]"#);
        found("friends.#(age<=44).age", "44");
        found(r#"friends.#(first%"D*").last"#, r#""Murphy""#);
        found(r#"friends.#(first!%"D*").last"#, r#""Craig""#);
        found("friends.#(on=true).first", r#""Dale""#);
        found("friends.#(x=null).first", r#""Jane""#);
        found("friends.#(on).first", r#""Dale""#);
        found(r#"friends.#(nets.#(=="fb"))#.first"#, r#"["Dale","Roger"]"#);
        found(r#"children.#(%"*a*")#"#, r#"["Sara","Jack"]"#);
        found(r#"friends.#(last=="Murphy")#|1.first"#, r#""Jane""#);
        assert_eq!(get(r#"friends.#(last=="Nobody").first"#), None);
    }

    proptest! {
        #[test]
        fn no_path_and_no_document_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            path in r#"([a-z0-9#.|*?()"=<>!%\\@{}\[\]~: ]|\PC){0,40}"#,
        ) {
            if let Ok(path) = Path::parse(&path) {
                let mut reader = serde_json::Deserializer::from_slice(&bytes);
                let _ = path.walk().deserialize(&mut reader);
                let mut reader = serde_json::Deserializer::from_str(DOCUMENT);
                let walked = path.walk().deserialize(&mut reader).unwrap();
                let whole: Value = serde_json::from_str(DOCUMENT).unwrap();
                prop_assert_eq!(walked, path.find(&whole));
            }
        }
    }
}
