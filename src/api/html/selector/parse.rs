//! Reading selectors, with errors that say where.

use html5ever::LocalName;

use super::{
    COMPOUNDS_MAX, Combinator, Complex, FUNCTIONS, LENGTH_MAX, NESTING_MAX, Nth, Operator, PLACES,
    STATES, Selector, Simple, Test,
};
use crate::units;

/// What is wrong with a selector, and before which byte of it.
struct Wrong {
    at: usize,
    what: String,
}

type Result<T> = std::result::Result<T, Wrong>;

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// If it is none: the message shows it, and says at which character what is wrong.
    pub(in crate::api) fn parse(text: &str) -> std::result::Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("the selector has more than {LENGTH_MAX} bytes"));
        }
        let mut reader = Reader { text, at: 0, nesting: 0 };
        let read = reader.list(false).and_then(|list| match reader.peek() {
            None => Ok(list),
            Some(found) => Err(reader.wrong(format!("`{found}` cannot stand here"))),
        });
        read.map_err(|Wrong { at, what }| {
            let character = text[..at].chars().count() + 1;
            format!("the selector \"{text}\" cannot be read: {what} (at character {character})")
        })
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { at: self.at, what: what.into() }
    }

    /// Takes a text if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn expect(&mut self, text: &str, after: &str) -> Result<()> {
        if self.eat(text) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(found) => {
                self.wrong(format!("`{text}` is missing after {after}; there is `{found}`"))
            }
            None => self.wrong(format!("`{text}` is missing after {after}")),
        })
    }

    /// Skips white space and returns whether there was any.
    fn gap(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']).len();
        self.at += skipped;
        skipped > 0
    }

    /// Reads selectors up to what cannot belong to them; `relative` ones may begin with a combinator.
    fn list(&mut self, relative: bool) -> Result<Selector> {
        let mut list = Vec::new();
        loop {
            list.push(self.complex(relative)?);
            if !self.eat(",") {
                return Ok(Selector(list));
            }
        }
    }

    fn combinator(&mut self) -> Option<Combinator> {
        let found = match self.peek()? {
            '>' => Combinator::Child,
            '+' => Combinator::Next,
            '~' => Combinator::Later,
            _ => return None,
        };
        self.at += 1;
        Some(found)
    }

    fn complex(&mut self, relative: bool) -> Result<Complex> {
        self.gap();
        let mut before = Combinator::Descendant;
        if relative && let Some(combinator) = self.combinator() {
            before = combinator;
            self.gap();
        }
        let mut steps = Vec::new();
        loop {
            let start = self.at;
            if steps.len() == COMPOUNDS_MAX {
                return Err(self.wrong(format!("more than {COMPOUNDS_MAX} parts stand in a row")));
            }
            let compound = self.compound()?;
            if self.at == start {
                return Err(self.wrong(match self.peek() {
                    Some(found) => format!("there is `{found}` where a selector should begin"),
                    None if self.text.trim().is_empty() => "it is empty".to_owned(),
                    None => "it ends where a selector should begin".to_owned(),
                }));
            }
            steps.push((compound, before));
            let gap = self.gap();
            before = match self.combinator() {
                Some(combinator) => combinator,
                None if !gap || matches!(self.peek(), None | Some(',' | ')')) => break,
                None => Combinator::Descendant,
            };
            self.gap();
        }
        steps.reverse();
        Ok(Complex { steps })
    }

    /// Reads conditions that stand together; none if there are none.
    fn compound(&mut self) -> Result<Vec<Simple>> {
        let mut all = Vec::new();
        if self.eat("*") {
            // Any element fulfils no condition at all.
        } else if let Some(name) = self.identifier()? {
            all.push(Simple::Name { exact: name.as_str().into(), lower: lower(&name) });
        }
        loop {
            all.push(match self.peek() {
                Some('#') => {
                    self.at += 1;
                    Simple::Id(self.needed("#")?)
                }
                Some('.') => {
                    self.at += 1;
                    Simple::Class(self.needed(".")?)
                }
                Some('[') => self.attribute()?,
                Some(':') => self.pseudo_class()?,
                Some('|') => return Err(self.wrong("namespaces are not supported")),
                _ => return Ok(all),
            });
        }
    }

    fn needed(&mut self, before: &str) -> Result<String> {
        match self.word()? {
            Some(name) => Ok(name),
            None => Err(self.wrong(format!("a name is missing after `{before}`"))),
        }
    }

    /// Reads an identifier: a word that does not begin with a digit.
    fn identifier(&mut self) -> Result<Option<String>> {
        if self.rest().trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.wrong("a name cannot begin with a digit"));
        }
        self.word()
    }

    /// Reads characters of names, and escaped ones.
    fn word(&mut self) -> Result<Option<String>> {
        let mut word = String::new();
        while let Some(found) = self.peek() {
            match found {
                '\\' => word.push(self.escape()?),
                '-' | '_' => {
                    word.push(found);
                    self.at += 1;
                }
                _ if found.is_ascii_alphanumeric() || !found.is_ascii() => {
                    word.push(found);
                    self.at += found.len_utf8();
                }
                _ => break,
            }
        }
        Ok((!word.is_empty()).then_some(word))
    }

    /// Reads an escape: `\:` or `\3a ` (CSS Syntax, 4.3.7).
    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let digits = self.rest().chars().take(6).take_while(char::is_ascii_hexdigit).count();
        if digits == 0 {
            let Some(found) = self.peek() else {
                return Err(self.wrong("it ends with `\\`"));
            };
            self.at += found.len_utf8();
            return Ok(found);
        }
        let code = u32::from_str_radix(&self.rest()[..digits], 16).unwrap_or_default();
        self.at += digits;
        if self.rest().starts_with([' ', '\t', '\n']) {
            self.at += 1;
        }
        Ok(char::from_u32(code).filter(|found| *found != '\0').unwrap_or('\u{fffd}'))
    }

    /// Reads a text in quotes.
    fn quoted(&mut self) -> Result<Option<String>> {
        let Some(quote @ ('"' | '\'')) = self.peek() else { return Ok(None) };
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                Some(found) if found == quote => break,
                Some('\\') => text.push(self.escape()?),
                Some(found) => {
                    text.push(found);
                    self.at += found.len_utf8();
                }
                None => {
                    return Err(Wrong { at: start, what: format!("a {quote} has no end") });
                }
            }
        }
        self.at += 1;
        Ok(Some(text))
    }

    fn attribute(&mut self) -> Result<Simple> {
        self.at += 1;
        self.gap();
        let start = self.at;
        let name = self.word()?.unwrap_or_default();
        // SVG's `xlink:href` needs no escape here, since there are no namespaces.
        let name = if self.eat(":") { format!("{name}:{}", self.needed(":")?) } else { name };
        if name.is_empty() {
            return Err(Wrong { at: start, what: "an attribute's name is missing".to_owned() });
        }
        self.gap();
        let operators = [
            ("!=", Operator::Unequal),
            ("~=", Operator::Word),
            ("|=", Operator::Dash),
            ("^=", Operator::Prefix),
            ("$=", Operator::Suffix),
            ("*=", Operator::Part),
            ("=", Operator::Equal),
        ];
        let operator = operators.iter().find(|(text, _)| self.eat(text));
        let test = match operator {
            None => None,
            Some((text, operator)) => Some(self.test(*operator, text)?),
        };
        self.expect("]", "the attribute")?;
        Ok(Simple::Attribute { exact: name.as_str().into(), lower: lower(&name), test })
    }

    fn test(&mut self, operator: Operator, text: &str) -> Result<Test> {
        self.gap();
        let value = match self.quoted()? {
            Some(value) => value,
            None => self.needed(text)?,
        };
        self.gap();
        let mut any_case = false;
        if let Some(flag) = self.word()? {
            any_case = flag.eq_ignore_ascii_case("i");
            if !any_case && !flag.eq_ignore_ascii_case("s") {
                self.at -= flag.len();
                return Err(self.wrong(format!("`{flag}` is neither `]` nor the flag `i`")));
            }
            self.gap();
        }
        Ok(Test { operator, value, any_case })
    }

    fn pseudo_class(&mut self) -> Result<Simple> {
        let start = self.at;
        self.at += 1;
        if self.eat(":") {
            return Err(Wrong { at: start, what: "pseudo-elements cannot be selected".to_owned() });
        }
        let name = self.needed(":")?.to_ascii_lowercase();
        if self.eat("(") {
            let simple = self.function(start, &name)?;
            self.gap();
            self.expect(")", &format!("`:{name}(`"))?;
            return Ok(simple);
        }
        if let Some((_, state)) = STATES.iter().find(|(known, _)| *known == name) {
            return Ok(Simple::State(*state));
        }
        if let Some((_, from_end, of_type)) = PLACES.iter().find(|(known, ..)| *known == name) {
            let (from_end, of_type) = (*from_end, *of_type);
            return Ok(Simple::Nth(Nth { step: 0, offset: 1, from_end, of_type, of: None }));
        }
        if FUNCTIONS.contains(&name.as_str()) {
            return Err(self.wrong(format!("`:{name}` needs arguments: `:{name}(...)`")));
        }
        Err(unknown(start, &name))
    }

    fn function(&mut self, start: usize, name: &str) -> Result<Simple> {
        Ok(match name {
            "not" => Simple::Not(self.nested(false)?),
            "is" | "where" | "matches" => Simple::Is(self.nested(false)?),
            "has" => Simple::Has(self.nested(true)?),
            "nth-child" => Simple::Nth(self.nth(false, false)?),
            "nth-last-child" => Simple::Nth(self.nth(true, false)?),
            "nth-of-type" => Simple::Nth(self.nth(false, true)?),
            "nth-last-of-type" => Simple::Nth(self.nth(true, true)?),
            "contains" | "contains-own" | "containsown" => {
                self.gap();
                let text = match self.quoted()? {
                    Some(text) => text,
                    // As it stands, as jQuery takes it.
                    None => {
                        let end = self.rest().find(')').unwrap_or(self.rest().len());
                        let text = self.rest()[..end].trim_end().to_owned();
                        self.at += end;
                        text
                    }
                };
                Simple::Contains { text, own: name != "contains" }
            }
            _ if STATES.iter().any(|(known, _)| *known == name)
                || PLACES.iter().any(|(known, ..)| *known == name) =>
            {
                return Err(Wrong { at: start, what: format!("`:{name}` takes no arguments") });
            }
            _ => return Err(unknown(start, name)),
        })
    }

    fn nested(&mut self, relative: bool) -> Result<Selector> {
        if self.nesting == NESTING_MAX {
            return Err(self
                .wrong(format!("selectors lie inside one another more than {NESTING_MAX} deep")));
        }
        self.nesting += 1;
        let list = self.list(relative)?;
        self.nesting -= 1;
        Ok(list)
    }

    /// Reads `2n+1`, `odd`, `-n + 3`, `4`, and `of` a selector (CSS Syntax, 6).
    fn nth(&mut self, from_end: bool, of_type: bool) -> Result<Nth> {
        self.gap();
        let start = self.at;
        let end = self.rest().find([')', 'o', 'O']).map_or(self.text.len(), |end| self.at + end);
        let rest = self.rest().to_ascii_lowercase();
        let (step, offset, end) = if rest.starts_with("odd") {
            (2, 1, start + 3)
        } else {
            match place(self.text[start..end].trim_end()) {
                Some((step, offset)) => (step, offset, end),
                None => {
                    let found = self.text[start..end].trim_end();
                    return Err(self.wrong(format!(
                        "`{found}` is no place such as `3`, `odd`, `even` or `2n+1`"
                    )));
                }
            }
        };
        self.at = end;
        self.gap();
        let mut of = None;
        if !of_type && self.rest().get(..2).is_some_and(|word| word.eq_ignore_ascii_case("of")) {
            self.at += 2;
            of = Some(self.nested(false)?);
        }
        Ok(Nth { step, offset, from_end, of_type, of })
    }
}

/// Reads `an+b`.
fn place(text: &str) -> Option<(i64, i64)> {
    if text.eq_ignore_ascii_case("even") {
        return Some((2, 0));
    }
    let number = |text: &str| -> Option<i64> {
        let digits = text.trim_start_matches(['+', '-']);
        let signs = text.len() - digits.len();
        let plain = signs <= 1 && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| text.parse::<i32>().ok().map(i64::from))?
    };
    let Some((before, after)) = text.split_once(['n', 'N']) else {
        return Some((0, number(text)?));
    };
    let step = match before {
        "" | "+" => 1,
        "-" => -1,
        before => number(before)?,
    };
    let after = after.trim_start();
    if after.is_empty() {
        return Some((step, 0));
    }
    let (sign, digits) = (&after[..1], after.get(1..)?.trim_start());
    let signed = matches!(sign, "+" | "-") && digits.starts_with(|c: char| c.is_ascii_digit());
    signed.then(|| number(&format!("{sign}{digits}")).map(|offset| (step, offset)))?
}

fn lower(name: &str) -> LocalName {
    name.to_ascii_lowercase().as_str().into()
}

fn unknown(at: usize, name: &str) -> Wrong {
    let known = STATES.iter().map(|(name, _)| *name);
    let known = known.chain(PLACES.iter().map(|(name, ..)| *name));
    let near = units::nearest(name, known.chain(FUNCTIONS.iter().copied()));
    let what = match near {
        Some(near) => format!("there is no pseudo-class `:{name}`; did you mean `:{near}`?"),
        None => format!("there is no pseudo-class `:{name}`"),
    };
    Wrong { at, what }
}
