//! What values of Luau are.

/// What a place of a stack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: the stack ends before.
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    Integer,
    Vector,
    String,
    Table,
    Function,
    Userdata,
    Thread,
    Buffer,
}
