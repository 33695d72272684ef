//! hyper's HTTP/1.1 client as an oracle for tests: what it makes of the same bytes.
