//! What a script says, in a form that both languages share: enough to know names, calls and tables
//! without running it.

use crate::script::place::Spot;

/// A part of a script.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::script) enum Node {
    /// A module: what `require` or `import` names.
    Module(String, Spot),
    /// A name that is read.
    Name(String, Spot),
    /// What stands in something else: `a.b`, `a::b`.
    Member {
        of: Box<Node>,
        name: String,
        at: Spot,
        /// Whether Rhai's sign for what lies in modules stands between: `::`.
        path: bool,
    },
    /// A call.
    Call {
        callee: Box<Node>,
        args: Vec<Node>,
        /// The call names its object by the language's sign for that: `:` in Luau, `.` in Rhai.
        method: bool,
    },
    /// A table or map, or a list.
    Table(Vec<Entry>),
    /// A text that is written out.
    Text(String, Spot),
    /// A number that is written out.
    Number(f64),
    /// Any number of values: Luau's `...`.
    Rest,
    /// Something that the author gives a type.
    Cast { value: Box<Node>, shape: Shape },
    /// A function.
    Function(Box<Function>),
    /// Names that are there from here to the end of the block.
    Let {
        names: Vec<(String, Spot)>,
        values: Vec<Node>,
        /// Functions of Rhai see it, as `global::NAME`.
        constant: bool,
    },
    /// Something that gets another value.
    Set { targets: Vec<Node>, values: Vec<Node> },
    /// A part with names of its own.
    Block(Vec<Node>),
    /// Anything else, by its parts.
    Other(Vec<Node>),
    /// A name for a type.
    Alias { name: String, shape: Shape, at: Spot },
}

impl Node {
    /// What has no parts that matter.
    pub(in crate::script) const NOTHING: Self = Self::Other(Vec::new());

    /// Returns the parts as one.
    pub(in crate::script) fn all(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 { parts.remove(0) } else { Self::Other(parts) }
    }
}

/// What stands in a table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::script) struct Entry {
    /// Its name, if that is written out.
    pub(in crate::script) name: Option<(String, Spot)>,
    pub(in crate::script) value: Node,
}

/// A function.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::script) struct Function {
    pub(in crate::script) params: Vec<Param>,
    pub(in crate::script) returns: Option<Shape>,
    pub(in crate::script) body: Vec<Node>,
    /// Whether it sees the variables around it.
    pub(in crate::script) closure: bool,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::script) struct Param {
    pub(in crate::script) name: String,
    pub(in crate::script) shape: Option<Shape>,
}

/// A type, as far as it tells what may be read, called and given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::script) enum Shape {
    /// Anything.
    Any,
    /// A type by its name.
    Name(String),
    /// A text that must be that.
    Text(String),
    /// Something or nothing.
    Optional(Box<Shape>),
    /// One of several.
    Union(Vec<Shape>),
    /// A list of such.
    List(Box<Shape>),
    /// A table of such by names that are free.
    Map(Box<Shape>),
    /// A table whose names are known; others may be read too if it is open.
    Record { fields: Vec<Field>, open: bool },
    /// A function.
    Function { params: Vec<(String, Shape)>, returns: Box<Shape> },
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::script) struct Field {
    pub(in crate::script) name: String,
    pub(in crate::script) shape: Shape,
    pub(in crate::script) at: Spot,
}
