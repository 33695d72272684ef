//! Options from environment variables.

use serde_json::{Map, Value};

use super::{LimitOptions, Options};
use crate::plan::PlanError;
use crate::plan::error::suggestion;

/// What every variable of ours begins with.
const PREFIX: &str = "KINGTIDE_";

/// What begins the variables of `limits`.
const LIMITS: &str = "limits_";

/// Variables that say where and how to run or to report, which others read.
const OTHERS: [&str; 4] = ["profile", "out", "ui", "results"];

impl Options {
    /// Reads the options among environment variables: `KINGTIDE_VUS`, `KINGTIDE_STAGES` as
    /// `10s:5,1m:10`, `KINGTIDE_TAGS` as `a=b,c=d`, `KINGTIDE_LIMITS_MEMORY` as `64MiB`,
    /// `KINGTIDE_THRESHOLDS` and `KINGTIDE_SCENARIOS` as JSON, and so on for every option.
    ///
    /// Names without our prefix are passed over, and empty values too (but an empty
    /// `KINGTIDE_USER_AGENT`, which means none). An unknown name of ours is an error.
    pub fn from_env(variables: impl Iterator<Item = (String, String)>) -> Result<Self, PlanError> {
        let mut options = Self::default();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let key = rest.to_ascii_lowercase();
            let meant = !text.is_empty() || key == "user_agent";
            if OTHERS.contains(&key.as_str()) || !meant {
                continue;
            }
            let read = Self::from_json(Value::Object(tree(&name, &key, &text)?));
            let read = read.map_err(|error| PlanError {
                message: format!("environment variable {name}: {}", error.message),
                path: error.path,
            })?;
            options = options.fields_over(read);
        }
        Ok(options)
    }
}

/// Returns the tree of options that one variable sets.
fn tree(name: &str, key: &str, text: &str) -> Result<Map<String, Value>, PlanError> {
    let limit = key.strip_prefix(LIMITS);
    let value = match limit {
        Some(limit) => LimitOptions::value_of_text(limit, text)
            .map(|value| Value::Object(Map::from_iter([(limit.to_owned(), value)]))),
        None => Options::value_of_text(key, text),
    };
    let value = value.ok_or_else(|| unknown(name))?;
    let key = if limit.is_some() { "limits" } else { key };
    Ok(Map::from_iter([(key.to_owned(), value)]))
}

fn unknown(name: &str) -> PlanError {
    let options = Options::KEYS.iter().map(|key| (*key).to_owned());
    let limits = LimitOptions::KEYS.iter().map(|key| format!("{LIMITS}{key}"));
    let others = OTHERS.into_iter().map(str::to_owned);
    // Names are compared without the prefix: in front of everything it would excuse any typo.
    let known: Vec<String> =
        options.chain(limits).chain(others).map(|key| key.to_ascii_uppercase()).collect();
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let suggestion = suggestion(rest, known.iter().map(String::as_str))
        .replace("did you mean `", &format!("did you mean `{PREFIX}"));
    PlanError::new(name, format!("unknown environment variable {name}{suggestion}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Options, PlanError> {
        let owned = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Options::from_env(owned)
    }

    #[test]
    fn every_kind_of_option_has_a_form_in_the_environment() {
        let options = from(&[
            ("HOME", "/"),
            ("KINGTIDE_VUS", "10"),
            ("KINGTIDE_DURATION", "1m30s"),
            ("KINGTIDE_STAGES", "10s:5,1m:10"),
            ("KINGTIDE_RATE", "100/s"),
            ("KINGTIDE_THROW", "true"),
            ("KINGTIDE_TAGS", "a=b,c=d=e"),
            ("KINGTIDE_HOSTS", "x.test=127.0.0.1:80"),
            ("KINGTIDE_THRESHOLDS", r#"{"checks": ["rate > 0.9"]}"#),
            ("KINGTIDE_LIMITS_MEMORY", "1MB"),
            ("KINGTIDE_LIMITS_TABLE", "7"),
            ("KINGTIDE_SUMMARY_TREND_STATS", "avg,p(99)"),
            ("KINGTIDE_USER_AGENT", ""),
            ("KINGTIDE_ITERATIONS", ""),
            ("KINGTIDE_OUT", "json"),
        ]);
        assert_eq!(
            options.unwrap().to_json(),
            json!({
                "vus": 10,
                "duration": "1m30s",
                "stages": [{ "duration": "10s", "target": 5 }, { "duration": "1m", "target": 10 }],
                "rate": "100/s",
                "thresholds": { "checks": ["rate > 0.9"] },
                "tags": { "a": "b", "c": "d=e" },
                "hosts": { "x.test": "127.0.0.1:80" },
                "user_agent": "",
                "throw": true,
                "summary_trend_stats": ["avg", "p(99)"],
                "limits": { "memory": 1_000_000, "table": 7 },
            })
        );
    }

    #[test]
    fn an_unknown_name_of_ours_is_an_error() {
        let message = |name| from(&[(name, "1")]).unwrap_err().message;
        assert_eq!(
            message("KINGTIDE_DURATON"),
            "unknown environment variable KINGTIDE_DURATON, did you mean `KINGTIDE_DURATION`?"
        );
        assert_eq!(
            message("KINGTIDE_LIMITS_MEMRY"),
            "unknown environment variable KINGTIDE_LIMITS_MEMRY, \
             did you mean `KINGTIDE_LIMITS_MEMORY`?"
        );
        assert_eq!(message("KINGTIDE_BANANA"), "unknown environment variable KINGTIDE_BANANA");
    }

    #[test]
    fn a_wrong_value_names_the_variable() {
        let message = |name, text| from(&[(name, text)]).unwrap_err().message;
        assert_eq!(
            message("KINGTIDE_VUS", "ten"),
            "environment variable KINGTIDE_VUS: option `vus` must be a whole number, \
             got the string \"ten\""
        );
        assert!(message("KINGTIDE_TAGS", "nonsense").contains("`tags` must be a table"));
        assert!(message("KINGTIDE_THRESHOLDS", "{").contains("`thresholds` must be a table"));
        assert!(message("KINGTIDE_STAGES", "10s").contains("stage \"10s\""));
    }
}
