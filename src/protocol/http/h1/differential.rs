//! Our client and hyper's over the same bytes, however they come.
