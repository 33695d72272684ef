//! The codec as a whole: the cases of Autobahn's test suite in small, and a comparison with
//! tungstenite.

mod cases;
mod differential;
mod peer;
