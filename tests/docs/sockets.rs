//! Holds the tables of `docs/websocket.md` and `docs/json-rpc.md` against the sources.

use std::collections::BTreeSet;

use kingtide::protocol::ErrorKind;
use kingtide::protocol::rpc::Problem;

use super::tables::{
    assert_same, assert_tests_exist, calls, entries, listed, metrics, names, quoted, rows, section,
    tables, text,
};

const WEBSOCKET: &str = "docs/websocket.md";
const RPC: &str = "docs/json-rpc.md";

#[test]
fn the_tables_of_websockets_have_all_that_there_is() {
    let document = text(WEBSOCKET);
    let params = listed(&text("src/api/ws/params.rs"), "const NAMES: &[&str]");
    assert_same(WEBSOCKET, "params", &names(&rows(&document, "## Connecting")), &params);

    let source = text("src/api/ws/socket.rs");
    let shown = tables(&document, "## A socket");
    let fields = listed(&source, "const FIELDS: &[&str]");
    assert_same(WEBSOCKET, "fields", &names(&shown[0]), &fields);
    let methods = entries(&source, "const METHODS: &[Method]");
    assert_same(WEBSOCKET, "methods", &calls(&shown[1]), &methods);

    let handlers = listed(&text("src/api/ws/mod.rs"), "const HANDLERS: &[&str]");
    let callbacks = quoted(section(&document, "## Callbacks"));
    let word = |text: &String| text.split(['(', ' ']).next().expect("a part").to_owned();
    let missing: Vec<_> =
        handlers.iter().filter(|name| !callbacks.iter().any(|one| word(one) == **name)).collect();
    assert!(missing.is_empty(), "{WEBSOCKET}, callbacks: {missing:?} are missing");
    assert_same(WEBSOCKET, "metrics", &names(&rows(&document, "## Metrics")), &metrics("ws_"));
}

#[test]
fn the_tables_of_json_rpc_have_all_that_there_is() {
    let document = text(RPC);
    let shown = tables(&document, "## A client");
    let mut options = listed(&text("src/api/ws/line.rs"), "const NAMES: [");
    options.extend(listed(&text("src/api/http/carrier.rs"), "const DEFAULTS: ["));
    let client = text("src/api/rpc/client.rs");
    options.extend(listed(&client, "const OPTIONS: &[&str]"));
    options.extend(listed(&client, "const LINE_OPTIONS: &[&str]"));
    assert_same(RPC, "options", &names(&shown[0]), &options);
    let methods = entries(&client, "const METHODS: &[Method]");
    assert_same(RPC, "methods", &calls(&shown[1]), &methods);

    let reply = text("src/api/rpc/reply.rs");
    let mut members = listed(&reply, "const FIELDS: &[&str]");
    members.extend(entries(&reply, "const METHODS: &[Method]"));
    let shown = tables(&document, "## A reply");
    assert_same(RPC, "a reply", &calls(&shown[0]), &members);
    let kinds = reply.split("kind: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let kinds = kinds.map(str::to_owned).collect();
    assert_same(RPC, "kinds of errors", &names(&shown[1]), &kinds);

    let feed = text("src/api/rpc/feed.rs");
    let mut members = listed(&feed, "const FIELDS: &[&str]");
    members.extend(entries(&feed, "const METHODS: &[Method]"));
    // What `for` calls in Luau: "iterating" in the table.
    members.remove("next");
    assert_same(RPC, "a subscription", &calls(&rows(&document, "## Subscriptions")), &members);
    assert_same(RPC, "metrics", &names(&rows(&document, "## Metrics")), &metrics("rpc_"));
}

#[test]
fn the_table_of_json_rpc_says_what_an_unbelievable_answer_is_called() {
    let shown = tables(&text(RPC), "## A reply").swap_remove(1);
    let row = shown.iter().find(|row| row[0] == "`answer`").expect("its row is there");
    let code = ErrorKind::InvalidAnswer.code().to_string();
    assert!(row[1].contains(&code), "{RPC}: the code of `answer` is {code}, not \"{}\"", row[1]);
    let problems = [
        Problem::NoAnswer,
        Problem::NotJson,
        Problem::Invalid,
        Problem::WrongId,
        Problem::Duplicate,
    ];
    let tags: BTreeSet<String> = problems.map(|problem| problem.as_str().to_owned()).into();
    assert_same(RPC, "tags of `answer`", &quoted(&row[2]).into_iter().collect(), &tags);
}

#[test]
fn the_tests_that_stand_for_websockets_and_json_rpc_exist() {
    let named = [assert_tests_exist(WEBSOCKET, "ws"), assert_tests_exist(RPC, "rpc")];
    assert!(named.iter().all(|count| *count > 30), "{named:?}");
}
