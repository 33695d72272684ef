//! Patterns with wildcards, for names and texts.

/// Returns whether a text matches a pattern of `*` (any text), `?` (any character) and `\` before
/// either. Takes time in proportion to the product of the lengths at most.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<(char, bool)> = pattern_tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and the text's position up to which it has been stretched.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(('*', true)) => {
                star = Some((p, t));
                p += 1;
            }
            Some(&(char, wild)) if (wild && char == '?') || (!wild && char == text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, stretched)) = star else { return false };
                star = Some((at, stretched + 1));
                p = at + 1;
                t = stretched + 1;
            }
        }
    }
    pattern[p..].iter().all(|token| *token == ('*', true))
}

/// Returns a pattern's characters, each with whether it is a wildcard.
fn pattern_tokens(pattern: &str) -> Vec<(char, bool)> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        tokens.push(match char {
            '\\' => (chars.next().unwrap_or('\\'), false),
            char => (char, matches!(char, '*' | '?')),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_with_many_stars_end_soon() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches_pattern(&pattern, &"a".repeat(2000)));
    }
}
