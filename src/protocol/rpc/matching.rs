//! Says which answer is whose: a call's, or each of a batch's, in whatever order they come.

use super::{AnswerId, Document, Id, Message, Outcome, Problem, RpcError};

/// Returns what came of a single call.
///
/// An error with the id `null`, or without one, is the call's too: the server could not read the
/// call's own (section 5).
pub fn answer_to<'a>(id: &Id, document: &Result<Document<'a>, Problem>) -> Outcome<'a> {
    match document {
        Err(problem) => Outcome::Broken(*problem),
        Ok(Document::Nothing) => Outcome::Broken(Problem::NoAnswer),
        Ok(Document::Many(_)) => Outcome::Broken(Problem::Invalid),
        Ok(Document::One(message)) => match &message.id {
            AnswerId::Known(known) if known == id => outcome(message),
            AnswerId::Null | AnswerId::Missing => match message.failure() {
                Some(error) if !message.ambiguous => Outcome::Error(error),
                Some(_) => Outcome::Broken(Problem::Invalid),
                None => Outcome::Broken(Problem::WrongId),
            },
            AnswerId::Known(_) | AnswerId::Foreign => Outcome::Broken(Problem::WrongId),
        },
    }
}

/// Returns the error that a server tells though it was called for no answer: with the id `null`, or
/// without one.
pub fn error_without_call<'a>(document: &Result<Document<'a>, Problem>) -> Option<RpcError<'a>> {
    match document {
        Ok(Document::One(message)) if matches!(message.id, AnswerId::Null | AnswerId::Missing) => {
            message.failure().filter(|_| !message.ambiguous)
        }
        _ => None,
    }
}

/// Returns what came of each call of a batch, in the order of the calls; nothing for notifications,
/// whose id is nothing.
///
/// Answers are matched by their ids; where calls share one, in the order in which they come. More
/// answers than calls for an id make all of them doubtful. Errors with the id `null` go to the
/// calls without an answer, in order; a lone error in place of the array goes to all calls.
/// Answers with ids that no call has are passed over.
pub fn answers_to<'a>(
    ids: &[Option<Id>],
    document: &Result<Document<'a>, Problem>,
) -> Vec<Option<Outcome<'a>>> {
    let all =
        |outcome: Outcome<'a>| ids.iter().map(|id| id.as_ref().map(|_| outcome.clone())).collect();
    match document {
        Err(problem) => all(Outcome::Broken(*problem)),
        Ok(Document::Nothing) => all(Outcome::Broken(Problem::NoAnswer)),
        Ok(Document::One(message)) => match message.failure() {
            Some(error) if !message.ambiguous => all(Outcome::Error(error)),
            _ => all(Outcome::Broken(Problem::Invalid)),
        },
        Ok(Document::Many(messages)) => matched(ids, messages),
    }
}

fn matched<'a>(ids: &[Option<Id>], messages: &[Message<'a>]) -> Vec<Option<Outcome<'a>>> {
    let mut outcomes: Vec<Option<Outcome<'a>>> = vec![None; ids.len()];
    // Calls by id, those of one id in their order.
    let mut calls: Vec<(&Id, usize)> =
        ids.iter().enumerate().filter_map(|(at, id)| Some((id.as_ref()?, at))).collect();
    calls.sort();
    let mut unclaimed = Vec::new();
    for message in messages {
        let AnswerId::Known(id) = &message.id else {
            unclaimed.extend(message.failure());
            continue;
        };
        let first = calls.partition_point(|(known, _)| *known < id);
        let same = calls[first..].iter().take_while(|(known, _)| *known == id);
        let free = same.clone().find(|(_, at)| outcomes[*at].is_none());
        match free {
            Some((_, at)) => outcomes[*at] = Some(outcome(message)),
            None => {
                for (_, at) in same {
                    outcomes[*at] = Some(Outcome::Broken(Problem::Duplicate));
                }
            }
        }
    }
    let mut unclaimed = unclaimed.into_iter();
    for (outcome, _) in outcomes.iter_mut().zip(ids).filter(|(_, id)| id.is_some()) {
        if outcome.is_none() {
            let error: Option<RpcError<'_>> = unclaimed.next();
            *outcome = Some(error.map_or(Outcome::Broken(Problem::NoAnswer), Outcome::Error));
        }
    }
    outcomes
}

/// Returns what an answer says. One with both an error and a result is an error, as far as the call
/// is concerned; `null` beside the other is nothing (JSON-RPC 1.0 writes both).
fn outcome<'a>(message: &Message<'a>) -> Outcome<'a> {
    if message.ambiguous {
        return Outcome::Broken(Problem::Invalid);
    }
    match (message.failure(), message.result) {
        (Some(error), _) => Outcome::Error(error),
        (None, Some(result)) => Outcome::Result(result),
        (None, None) => Outcome::Broken(Problem::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::read;
    use super::*;

    /// What came of a call, as text: `result …`, `error CODE`, or the problem.
    fn told(outcome: &Outcome<'_>) -> String {
        match outcome {
            Outcome::Result(result) => format!("result {result}"),
            Outcome::Error(RpcError { code: Some(code), .. }) => format!("error {code}"),
            Outcome::Error(error) => format!("error {}", error.message),
            Outcome::Broken(problem) => problem.to_string(),
        }
    }

    fn single(id: &Id, text: &str) -> String {
        told(&answer_to(id, &read(text.as_bytes())))
    }

    fn batch(ids: &[Option<Id>], text: &str) -> Vec<String> {
        let outcomes = answers_to(ids, &read(text.as_bytes()));
        outcomes.iter().map(|one| one.as_ref().map_or("-".to_owned(), told)).collect()
    }

    fn numbers(ids: &[i64]) -> Vec<Option<Id>> {
        ids.iter().map(|id| Some(Id::Number(*id))).collect()
    }

    #[test]
    fn a_single_call_takes_the_answer_with_its_id() {
        let (one, text) = (Id::Number(1), Id::Text("1".into()));
        assert_eq!(single(&one, r#"{"jsonrpc":"2.0","result":"0x1","id":1}"#), "result \"0x1\"");
        assert_eq!(single(&one, r#"{"result":null,"id":1}"#), "result null");
        assert_eq!(single(&one, r#"{"result":null,"error":null,"id":1}"#), "result null");
        assert_eq!(
            single(&one, r#"{"error":{"code":-32000,"message":"x"},"id":1}"#),
            "error -32000"
        );
        assert_eq!(single(&text, r#"{"result":2,"id":"1"}"#), "result 2");
    }

    #[test]
    fn a_single_call_refuses_what_is_not_its_answer() {
        let id = Id::Number(1);
        for (text, wanted) in [
            (r#"{"result":1,"id":2}"#, "wrong id"),
            (r#"{"result":1,"id":"1"}"#, "wrong id"),
            (r#"{"result":1,"id":null}"#, "wrong id"),
            (r#"{"result":1}"#, "wrong id"),
            (r#"{"result":1,"id":[1]}"#, "wrong id"),
            (r#"{"error":{"code":5,"message":"x"},"id":2}"#, "wrong id"),
            (r#"{"id":1}"#, "invalid answer"),
            (r#"{"error":null,"id":1}"#, "invalid answer"),
            (r#"{"result":1,"result":2,"id":1}"#, "invalid answer"),
            (r#"{"error":1,"error":2,"id":null}"#, "invalid answer"),
            (r#"[{"result":1,"id":1}]"#, "invalid answer"),
            ("17", "invalid answer"),
            ("", "no answer"),
            ("<html>", "not json"),
            (r#"{"result":1,"id":1"#, "not json"),
        ] {
            assert_eq!(single(&id, text), wanted, "{text}");
        }
    }

    #[test]
    fn an_error_without_an_id_is_the_single_calls() {
        let id = Id::Number(1);
        let parse = r#"{"error":{"code":-32700,"message":"Parse error"},"id":null}"#;
        assert_eq!(single(&id, parse), "error -32700");
        assert_eq!(single(&id, r#"{"error":{"code":-32700,"message":"x"}}"#), "error -32700");
    }

    #[test]
    fn a_notification_can_be_refused() {
        let error = |text: &str| error_without_call(&read(text.as_bytes())).map(|error| error.code);
        assert_eq!(
            error(r#"{"error":{"code":-32600,"message":"x"},"id":null}"#),
            Some(Some(-32600))
        );
        assert_eq!(error(r#"{"error":"x"}"#), Some(None));
        for text in ["", "x", "[]", r#"{"result":1,"id":null}"#, r#"{"error":"x","id":1}"#] {
            assert_eq!(error(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_beside_a_result_is_an_error() {
        let both = r#"{"result":1,"error":{"code":3,"message":"x"},"id":1}"#;
        assert_eq!(single(&Id::Number(1), both), "error 3");
        assert_eq!(single(&Id::Number(1), r#"{"result":1,"error":"x","id":1}"#), "error x");
    }

    #[test]
    fn a_batch_is_matched_whatever_the_order() {
        let ids = [Some(Id::Number(1)), None, Some(Id::Text("a".into())), Some(Id::Number(3))];
        let text = r#"[{"id":3,"error":{"code":9,"message":"x"}},{"id":"a","result":2},
            {"id":1,"result":1}]"#;
        assert_eq!(batch(&ids, text), ["result 1", "-", "result 2", "error 9"]);
    }

    #[test]
    fn calls_without_an_answer_say_so() {
        assert_eq!(
            batch(&numbers(&[1, 2, 3]), r#"[{"id":2,"result":2},{"id":4,"result":4},7]"#),
            ["no answer", "result 2", "no answer"]
        );
        assert_eq!(batch(&numbers(&[1, 2]), "[]"), ["no answer", "no answer"]);
        assert_eq!(batch(&numbers(&[1]), ""), ["no answer"]);
        assert_eq!(batch(&[None, None], ""), ["-", "-"]);
    }

    #[test]
    fn more_answers_than_calls_for_an_id_make_them_doubtful() {
        let text = r#"[{"id":1,"result":1},{"id":2,"result":2},{"id":1,"result":9}]"#;
        assert_eq!(batch(&numbers(&[1, 2]), text), ["duplicate answer", "result 2"]);
    }

    #[test]
    fn calls_that_share_an_id_take_their_answers_in_order() {
        let text = r#"[{"id":7,"result":1},{"id":7,"result":2}]"#;
        assert_eq!(batch(&numbers(&[7, 7]), text), ["result 1", "result 2"]);
        assert_eq!(batch(&numbers(&[7, 7]), r#"[{"id":7,"result":1}]"#), ["result 1", "no answer"]);
        let three = r#"[{"id":7,"result":1},{"id":7,"result":2},{"id":7,"result":3}]"#;
        assert_eq!(batch(&numbers(&[7, 7]), three), ["duplicate answer", "duplicate answer"]);
    }

    #[test]
    fn errors_without_an_id_go_to_calls_without_an_answer() {
        let text = r#"[{"id":null,"error":{"code":-32600,"message":"x"}},{"id":2,"result":2}]"#;
        assert_eq!(batch(&numbers(&[1, 2, 3]), text), ["error -32600", "result 2", "no answer"]);
        // A result without an id is nobody's.
        assert_eq!(batch(&numbers(&[1]), r#"[{"id":null,"result":1}]"#), ["no answer"]);
    }

    #[test]
    fn one_answer_for_a_whole_batch_is_everyones_if_it_is_an_error() {
        let ids = [Some(Id::Number(1)), None, Some(Id::Number(2))];
        let error = r#"{"id":null,"error":{"code":-32005,"message":"batch too large"}}"#;
        assert_eq!(batch(&ids, error), ["error -32005", "-", "error -32005"]);
        let result = r#"{"id":1,"result":1}"#;
        assert_eq!(batch(&ids, result), ["invalid answer", "-", "invalid answer"]);
        assert_eq!(batch(&ids, "oops"), ["not json", "-", "not json"]);
        assert_eq!(batch(&ids, "null"), ["invalid answer", "-", "invalid answer"]);
    }

    fn id() -> impl Strategy<Value = Id> {
        prop_oneof![
            (-2_i64..12).prop_map(Id::Number),
            "[0-9a]{0,2}".prop_map(|text| Id::Text(text.into())),
        ]
    }

    fn json_of(id: &Id) -> Value {
        match id {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }

    proptest! {
        /// With ids of their own and any answers, shuffled, dropped, repeated and foreign ones among
        /// them, each call has what a table by id would say.
        #[test]
        fn each_call_has_what_a_table_by_id_says(
            ids in proptest::collection::btree_set(id(), 1..20),
            answers in proptest::collection::vec((id(), any::<bool>(), 0_i64..1000), 0..40),
        ) {
            let ids: Vec<Option<Id>> = ids.into_iter().map(Some).collect();
            let document: Vec<Value> = answers
                .iter()
                .map(|(id, fine, value)| if *fine {
                    json!({ "jsonrpc": "2.0", "id": json_of(id), "result": { "v": value } })
                } else {
                    json!({ "id": json_of(id), "error": { "code": value, "message": "m" } })
                })
                .collect();
            let mut table: BTreeMap<Id, Vec<String>> = BTreeMap::new();
            for (id, fine, value) in answers {
                let told = if fine { format!(r#"result {{"v":{value}}}"#) } else { format!("error {value}") };
                table.entry(id).or_default().push(told);
            }
            let wanted: Vec<String> = ids.iter().flatten().map(|id| match table.get(id).map(Vec::as_slice) {
                None => "no answer".to_owned(),
                Some([one]) => one.clone(),
                Some(_) => "duplicate answer".to_owned(),
            }).collect();
            prop_assert_eq!(batch(&ids, &Value::Array(document).to_string()), wanted);
        }

        /// Calls that share ids have among them the answers to these ids, in order.
        #[test]
        fn no_answer_is_given_twice(
            ids in proptest::collection::vec(proptest::option::of(0_i64..4), 1..12),
            answers in proptest::collection::vec(0_i64..5, 0..12),
        ) {
            let calls: Vec<Option<Id>> = ids.iter().map(|id| id.map(Id::Number)).collect();
            let document: Vec<Value> = answers
                .iter()
                .enumerate()
                .map(|(at, id)| json!({ "id": id, "result": at }))
                .collect();
            let found = batch(&calls, &Value::Array(document).to_string());
            for id in 0..5 {
                let given = answers.iter().filter(|answer| **answer == id).count();
                let of_id: Vec<&String> =
                    ids.iter().zip(&found).filter(|(own, _)| **own == Some(id)).map(|(_, f)| f).collect();
                let results = of_id.iter().filter(|told| told.starts_with("result")).count();
                if given > of_id.len() {
                    prop_assert!(of_id.iter().all(|told| *told == "duplicate answer"));
                } else {
                    prop_assert_eq!(results, given);
                    prop_assert!(of_id[..given].is_sorted_by_key(|told| told[7..].parse::<usize>().unwrap()));
                }
            }
            for (id, told) in ids.iter().zip(&found) {
                prop_assert_eq!(id.is_none(), told == "-");
            }
        }

        #[test]
        fn garbage_never_panics(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                r#"[\[\]{}",:0-9a-z\\. -]{0,120}"#.prop_map(String::into_bytes),
                r#"\[?(\{("(id|error|result|code)":(1|null|"a"|\{\}|\[\]),?){0,4}\},?){0,4}\]?"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            let ids = numbers(&[1, 2]);
            prop_assert_eq!(answers_to(&ids, &read(&bytes)).len(), 2);
            let _ = answer_to(&Id::Number(1), &read(&bytes));
        }

        /// Results and errors are the text that the server wrote, whatever stands around them.
        #[test]
        fn results_are_the_very_text(number in "-?[1-9][0-9]{0,90}", space in "[ \n\t]{0,3}") {
            let text = format!(r#"{{{space}"id"{space}:{space}1,"result"{space}:{space}{number}{space}}}"#);
            prop_assert_eq!(single(&Id::Number(1), &text), format!("result {number}"));
        }
    }
}
