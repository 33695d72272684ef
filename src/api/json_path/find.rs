//! Following a path into a value, with its operators.

use super::path::{Path, Query, Step};
use super::pattern::matches_pattern;
use crate::api::Value;

impl Path {
    /// Follows the path into a value.
    pub(in crate::api) fn find(&self, value: &Value) -> Option<Value> {
        find(&self.0, value)
    }
}

/// Follows steps into a value.
pub(super) fn find(steps: &[Step], value: &Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    match (step, value) {
        (Step::Pipe, value) => find(rest, value),
        (Step::Name(name), Value::Map(map)) => find(rest, map.get(name)?),
        (Step::Name(name), Value::List(list)) => find(rest, list.get(name.parse::<usize>().ok()?)?),
        (Step::Pattern(pattern), Value::Map(map)) => {
            let (_, value) = map.iter().find(|(name, _)| matches_pattern(pattern, name))?;
            find(rest, value)
        }
        (Step::Each, Value::List(list)) => {
            if rest.first().is_none_or(|step| *step == Step::Pipe) {
                return find(rest, &Value::Int(list.len() as i64));
            }
            collect(list.iter(), rest)
        }
        (Step::Where { query, all }, Value::List(list)) => {
            let mut hits = list.iter().filter(|item| query.matches(item));
            if *all { collect(hits, rest) } else { find(rest, hits.next()?) }
        }
        _ => None,
    }
}

/// Follows the path for each item up to a pipe, and from there on for all together.
fn collect<'a>(items: impl Iterator<Item = &'a Value>, steps: &[Step]) -> Option<Value> {
    let pipe = steps.iter().position(|step| *step == Step::Pipe).unwrap_or(steps.len());
    let (each, all) = steps.split_at(pipe);
    let found = Value::List(items.filter_map(|item| find(each, item)).collect());
    find(all, &found)
}

impl Query {
    fn matches(&self, item: &Value) -> bool {
        let Some(value) = self.left.find(item) else { return false };
        if self.operator.is_empty() {
            return true;
        }
        match &value {
            Value::Text(text) => self.matches_text(&text.to_str()),
            Value::Int(_) | Value::Number(_) => {
                let (left, right) = (value.as_number(), self.right.parse::<f64>().ok());
                match right {
                    Some(_) => compare(&self.operator, left.partial_cmp(&right)),
                    None => self.operator == "!=",
                }
            }
            Value::Bool(value) => self.same(&value.to_string()),
            Value::Null => self.same("null"),
            _ => false,
        }
    }

    fn same(&self, left: &str) -> bool {
        match self.operator.as_str() {
            "=" => left == self.right,
            "!=" => left != self.right,
            _ => false,
        }
    }

    fn matches_text(&self, left: &str) -> bool {
        let right = unquote(&self.right);
        match self.operator.as_str() {
            "%" => matches_pattern(&right, left),
            "!%" => !matches_pattern(&right, left),
            operator => compare(operator, Some(left.cmp(right.as_str()))),
        }
    }
}

fn compare(operator: &str, order: Option<std::cmp::Ordering>) -> bool {
    let Some(order) = order else { return false };
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => false,
    }
}

fn unquote(text: &str) -> String {
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        serde_json::from_str(text).unwrap_or_else(|_| text[1..text.len() - 1].to_owned())
    } else {
        text.to_owned()
    }
}
