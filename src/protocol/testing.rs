//! What the unit tests of this module share.

use std::time::Duration;

use crate::plan::{HttpDebug, HttpPlan};

/// Returns a plan with the defaults of a test.
pub(crate) fn plan() -> HttpPlan {
    HttpPlan {
        user_agent: "kingtide".to_owned(),
        max_redirects: 10,
        timeout: Duration::from_mins(1),
        insecure_skip_tls_verify: false,
        hosts: indexmap::IndexMap::new(),
        no_connection_reuse: false,
        no_vu_connection_reuse: false,
        no_cookies_reset: false,
        discard_response_bodies: false,
        throw: false,
        debug: HttpDebug::Off,
        batch: (20, 6),
        body_bytes_max: 1 << 20,
        connections_max: 100,
    }
}
