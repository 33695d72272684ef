//! CSS selectors (Selectors Level 4), with what suites know from jQuery and k6: `:contains`, `[a!=b]`,
//! `:input` and their like.
//!
//! They are of our own rather than of the `selectors` crate, which is made for styling pages in a
//! browser: it no longer says where a selector is wrong, has no bound on the work of a match, and its
//! licence is not among those that we take.

use html5ever::LocalName;

pub(super) use self::matching::Matcher;

mod matching;
mod parse;
#[cfg(test)]
mod tests;

/// Longest selector in bytes, and what bounds the stack that one takes: compounds in a row, and
/// selectors inside selectors.
const LENGTH_MAX: usize = 4_096;
const COMPOUNDS_MAX: usize = 64;
const NESTING_MAX: usize = 8;

/// A list of selectors: `a, b > c`.
#[derive(Debug, PartialEq)]
pub(in crate::api) struct Selector(Vec<Complex>);

/// Compounds with what lies between them, from the right: `a > b c` is `c`, then `b`, then `a`.
#[derive(Debug, PartialEq)]
struct Complex {
    /// Each with how it stands to the next; the last one's is of no use but inside `:has`.
    steps: Vec<(Vec<Simple>, Combinator)>,
}

/// How a compound stands to the one on its left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combinator {
    /// ` `: somewhere below it.
    Descendant,
    /// `>`: a child of it.
    Child,
    /// `+`: the next element after it.
    Next,
    /// `~`: one of the elements after it.
    Later,
}

/// One condition of a compound.
#[derive(Debug, PartialEq)]
enum Simple {
    /// `div`: as it was written for SVG and MathML, and in lower case for HTML.
    Name { exact: LocalName, lower: LocalName },
    /// `#id`
    Id(String),
    /// `.class`
    Class(String),
    /// `[name operator value i]`
    Attribute { exact: LocalName, lower: LocalName, test: Option<Test> },
    /// `:not(a, b)`
    Not(Selector),
    /// `:is(a, b)`, `:where(a, b)`
    Is(Selector),
    /// `:has(> a, b)`: each is anchored where its last step says.
    Has(Selector),
    /// `:nth-child(an+b of s)` and all that say the same in fewer words.
    Nth(Nth),
    /// `:contains("text")`; `own`: in its own text nodes.
    Contains { text: String, own: bool },
    /// A pseudo-class without arguments.
    State(State),
}

/// What an attribute's value must be.
#[derive(Debug, PartialEq)]
struct Test {
    operator: Operator,
    value: String,
    /// Whether `A` is `a`.
    any_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `=`
    Equal,
    /// `!=`: jQuery's; also if there is no such attribute.
    Unequal,
    /// `~=`
    Word,
    /// `|=`
    Dash,
    /// `^=`
    Prefix,
    /// `$=`
    Suffix,
    /// `*=`
    Part,
}

/// A place among siblings: `step * n + offset` for some n from 0 on.
#[derive(Debug, PartialEq)]
struct Nth {
    step: i64,
    offset: i64,
    from_end: bool,
    of_type: bool,
    of: Option<Selector>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Root,
    Scope,
    Empty,
    OnlyChild,
    OnlyOfType,
    Link,
    Checked,
    Selected,
    Disabled,
    Enabled,
    Required,
    Optional,
    Input,
    Button,
    /// The inputs of one type: `:text`, `:checkbox`.
    Type(&'static str),
}

/// Pseudo-classes without arguments, by name. jQuery's are among them.
const STATES: &[(&str, State)] = &[
    ("root", State::Root),
    ("scope", State::Scope),
    ("empty", State::Empty),
    ("only-child", State::OnlyChild),
    ("only-of-type", State::OnlyOfType),
    ("link", State::Link),
    ("any-link", State::Link),
    ("checked", State::Checked),
    ("selected", State::Selected),
    ("disabled", State::Disabled),
    ("enabled", State::Enabled),
    ("required", State::Required),
    ("optional", State::Optional),
    ("input", State::Input),
    ("button", State::Button),
    ("text", State::Type("text")),
    ("password", State::Type("password")),
    ("checkbox", State::Type("checkbox")),
    ("radio", State::Type("radio")),
    ("file", State::Type("file")),
    ("submit", State::Type("submit")),
    ("reset", State::Type("reset")),
    ("image", State::Type("image")),
];

/// Pseudo-classes about a place, in fewer words: name, from the end, of its type.
const PLACES: &[(&str, bool, bool)] = &[
    ("first-child", false, false),
    ("last-child", true, false),
    ("first-of-type", false, true),
    ("last-of-type", true, true),
];

/// Pseudo-classes with arguments.
const FUNCTIONS: &[&str] = &[
    "not",
    "is",
    "where",
    "matches",
    "has",
    "nth-child",
    "nth-last-child",
    "nth-of-type",
    "nth-last-of-type",
    "contains",
    "contains-own",
    "containsown",
];
