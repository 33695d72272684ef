//! What a script says, without running it: both languages as one tree.
//!
//! The engines compile; these readers are for what can be known besides. So they take what is valid,
//! and give up without a word on what is not.

use super::Language;

mod luau;
mod parser;
mod rhai;
pub(in crate::script) mod tokens;
pub(in crate::script) mod tree;
mod types;

#[cfg(test)]
mod tests;

/// Returns what a text says; nothing if it is not understood.
pub(in crate::script) fn parse(language: Language, text: &str) -> Option<Vec<tree::Node>> {
    match language {
        Language::Luau => luau::parse(text),
        Language::Rhai => rhai::parse(text),
    }
}
