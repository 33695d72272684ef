//! How a test is compiled anew while it runs: from the same line that was typed.

use std::sync::Arc;

use super::args::TestArgs;
use super::{terminal, test};
use crate::output::Style;
use crate::plan::Plan;
use crate::run::{Compiled, Gates, Refusal, Sources, Watch};

/// Returns what watches a test that was typed and consists of these files; `adapt` has the last word
/// on its plan.
pub(super) fn watch(
    args: &TestArgs,
    gates: Gates,
    sources: Sources,
    adapt: impl Fn(&mut Plan) + Send + 'static,
) -> Watch {
    let args = args.clone();
    let style = terminal::err_style();
    let compile = move |before: &_| {
        let mut sources = Sources::default();
        let prepared = test::prepare_again(&args, gates, Some(before), &mut sources);
        let result = prepared.map(|mut prepared| {
            adapt(Arc::make_mut(&mut prepared.test.plan));
            (prepared.test, prepared.events)
        });
        let result = result.map_err(|error| Refusal {
            styled: error.render(style),
            plain: error.render(Style { color: false, ..style }),
        });
        Compiled { sources, result }
    };
    Watch { compile: Box::new(compile), sources, orders: None, tag_versions: false }
}
