//! What the unit tests of this module share.

use crate::plan::{Facts, HttpPlan, Options, resolve};

/// Returns a plan with the defaults of a test.
pub(crate) fn plan() -> HttpPlan {
    let plan = resolve(&Options::default(), &Facts::default()).expect("nothing is set");
    HttpPlan { user_agent: "kingtide".to_owned(), body_bytes_max: 1 << 20, ..plan.http }
}
