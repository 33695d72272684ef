//! What the readers of both languages share: a place among tokens.

use super::tokens::{Kind, Token};
use crate::script::place::Spot;

/// How deep a text may be nested.
const DEPTH_MAX: u32 = 200;

/// A place among the tokens of a text.
pub(super) struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: u32,
}

impl<'t> Parser<'t> {
    /// Begins with the first token.
    pub(super) fn new(tokens: &'t [Token<'t>]) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    pub(super) fn now(&self) -> Token<'t> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, count: usize) -> Token<'t> {
        // The last token is the end; it is never passed.
        self.tokens[(self.at + count).min(self.tokens.len() - 1)]
    }

    pub(super) fn next(&mut self) -> Token<'t> {
        let token = self.now();
        self.at += 1;
        token
    }

    /// Returns whether one of these keywords or symbols comes now.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        let token = self.now();
        words.iter().any(|word| token.is(word))
    }

    /// Takes a keyword or symbol if it comes now.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_it = self.now().is(word);
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes one of these keywords or symbols if it comes now.
    pub(super) fn take_any(&mut self, words: &[&str]) -> bool {
        let is_it = self.is_any(words);
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes a keyword or symbol that must come now.
    pub(super) fn need(&mut self, word: &str) -> Option<()> {
        self.take(word).then_some(())
    }

    pub(super) fn name(&mut self) -> Option<(String, Spot)> {
        let token = self.next();
        (token.kind == Kind::Name).then(|| (token.text.to_owned(), spot(token)))
    }

    /// Goes one level deeper; nothing if that is too deep.
    pub(super) fn enter(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    /// Comes back from one level deeper.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// Returns where a token stands; of one with several lines, its first.
pub(super) fn spot(token: Token<'_>) -> Spot {
    let first = token.text.lines().next().unwrap_or_default();
    Spot { line: token.line, column: token.column, width: first.chars().count().max(1) as u32 }
}
