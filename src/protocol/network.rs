//! What the VUs of a worker share: the DNS cache and the TLS configuration.

/// What the VUs of a worker share.
#[derive(Debug)]
pub struct Network {}
