//! Rhai's statements and expressions as a [`Node`].

use super::parser::{Parser, spot};
use super::tokens::{Dialect, Kind, tokens};
use super::tree::{Entry, Function, Node, Param};
use crate::script::place::Spot;

/// Returns what a text says.
pub(super) fn parse(text: &str) -> Option<Vec<Node>> {
    let (tokens, _) = tokens(text, Dialect::Rhai)?;
    let mut reader = Reader(Parser::new(&tokens));
    let nodes = reader.statements()?;
    (reader.0.now().kind == Kind::End).then_some(nodes)
}

/// Operators between two operands. Which binds how does not matter here.
const BINARY: &[&str] = &[
    "+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=",
    "&&", "||", "??", "..", "..=", "in",
];

const ASSIGNMENTS: &[&str] =
    &["=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", "&=", "|=", "^="];

struct Reader<'t>(Parser<'t>);

impl Reader<'_> {
    fn statements(&mut self) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            if self.0.now().is("}") || self.0.now().kind == Kind::End {
                return Some(nodes);
            }
            if !self.0.take(";") {
                nodes.push(self.statement()?);
            }
        }
    }

    /// Reads `{ … }`.
    fn block(&mut self) -> Option<Vec<Node>> {
        self.0.need("{")?;
        self.0.enter()?;
        let nodes = self.statements()?;
        self.0.leave();
        self.0.need("}")?;
        Some(nodes)
    }

    fn statement(&mut self) -> Option<Node> {
        let token = self.0.now();
        if token.kind == Kind::Keyword {
            match token.text {
                "let" | "const" => return self.variable(),
                "export" => {
                    self.0.next();
                    if self.0.is_any(&["let", "const"]) {
                        return self.variable();
                    }
                    let (name, at) = self.0.name()?;
                    if self.0.take("as") {
                        self.0.name()?;
                    }
                    return Some(Node::Name(name, at));
                }
                "import" => return self.import(),
                "private" | "fn" => return self.function(),
                "for" => return self.for_statement(),
                "return" | "throw" | "break" => {
                    self.0.next();
                    let ends = self.0.is_any(&[";", "}", ","]) || self.0.now().kind == Kind::End;
                    return if ends { Some(Node::NOTHING) } else { self.expression() };
                }
                "continue" => {
                    self.0.next();
                    return Some(Node::NOTHING);
                }
                "try" => return self.try_statement(),
                _ => {}
            }
        }
        if self.0.now().is("{") {
            return self.block().map(Node::Block);
        }
        if self.0.is_any(&["if", "while", "loop", "do", "switch"]) {
            let first = self.controlled()?;
            // A method may be called on what they come to.
            return if self.0.is_any(&[".", "?."]) { self.suffixes(first) } else { Some(first) };
        }
        self.expression()
    }

    fn variable(&mut self) -> Option<Node> {
        let constant = self.0.next().text == "const";
        let name = self.0.name()?;
        let values = if self.0.take("=") { vec![self.expression()?] } else { Vec::new() };
        Some(Node::Let { names: vec![name], values, constant })
    }

    fn import(&mut self) -> Option<Node> {
        self.0.next();
        let value = match self.expression()? {
            Node::Text(name, at) => Node::Module(name, at),
            other => other,
        };
        if !self.0.take("as") {
            return Some(value);
        }
        let name = self.0.name()?;
        Some(Node::Let { names: vec![name], values: vec![value], constant: true })
    }

    fn function(&mut self) -> Option<Node> {
        self.0.take("private");
        self.0.need("fn")?;
        let mut name = self.any_name()?;
        let mut of_type = false;
        if self.0.take(".") {
            // A method of a type; it has `this`, and is called with a dot.
            name = self.any_name()?;
            of_type = true;
        }
        self.0.need("(")?;
        let params = self.params(")")?;
        let body = self.block()?;
        let function = Function { params, returns: None, body, closure: false };
        let function = Node::Function(Box::new(function));
        if of_type {
            return Some(function);
        }
        let target = Node::Name(name.0, name.1);
        Some(Node::Set { targets: vec![target], values: vec![function] })
    }

    fn params(&mut self, end: &str) -> Option<Vec<Param>> {
        let mut params = Vec::new();
        while !self.0.take(end) {
            let (name, _) = self.0.name()?;
            params.push(Param { name, shape: None });
            if !self.0.take(",") {
                self.0.need(end)?;
                break;
            }
        }
        Some(params)
    }

    fn for_statement(&mut self) -> Option<Node> {
        self.0.next();
        let mut names = Vec::new();
        if self.0.take("(") {
            names.push(self.0.name()?);
            self.0.need(",")?;
            names.push(self.0.name()?);
            self.0.need(")")?;
        } else {
            names.push(self.0.name()?);
        }
        self.0.need("in")?;
        let over = self.expression()?;
        let body = self.block()?;
        let names = Node::Let { names, values: Vec::new(), constant: false };
        Some(Node::Block(vec![over, names, Node::Block(body)]))
    }

    fn try_statement(&mut self) -> Option<Node> {
        self.0.next();
        let tried = self.block()?;
        self.0.need("catch")?;
        let mut caught = Vec::new();
        if self.0.take("(") {
            let name = self.0.name()?;
            self.0.need(")")?;
            caught.push(Node::Let { names: vec![name], values: Vec::new(), constant: false });
        }
        caught.extend(self.block()?);
        Some(Node::Other(vec![Node::Block(tried), Node::Block(caught)]))
    }

    /// Reads what has blocks and may be a value.
    fn controlled(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        match self.0.next().text {
            "if" => {
                parts.push(self.expression()?);
                parts.push(Node::Block(self.block()?));
                if self.0.take("else") {
                    parts.push(if self.0.now().is("if") {
                        self.controlled()?
                    } else {
                        Node::Block(self.block()?)
                    });
                }
            }
            "while" => {
                parts.push(self.expression()?);
                parts.push(Node::Block(self.block()?));
            }
            "loop" => parts.push(Node::Block(self.block()?)),
            "do" => {
                parts.push(Node::Block(self.block()?));
                self.0.take_any(&["while", "until"]).then_some(())?;
                parts.push(self.expression()?);
            }
            "switch" => {
                parts.push(self.expression()?);
                self.0.need("{")?;
                while !self.0.take("}") {
                    let is_default = self.0.now().text == "_";
                    if is_default {
                        self.0.next();
                    } else {
                        parts.push(self.expression()?);
                    }
                    if self.0.take("if") {
                        parts.push(self.expression()?);
                    }
                    self.0.need("=>")?;
                    parts.push(self.statement()?);
                    self.0.take_any(&[",", ";"]);
                }
            }
            _ => return None,
        }
        Some(Node::Other(parts))
    }

    fn expression(&mut self) -> Option<Node> {
        self.0.enter()?;
        let found = self.operation()?;
        self.0.leave();
        Some(found)
    }

    fn operation(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        loop {
            while self.0.take_any(&["-", "+", "!"]) {}
            parts.push(self.operand()?);
            if self.0.is_any(ASSIGNMENTS) {
                let plain = self.0.next().text == "=";
                let value = self.expression()?;
                let target = Node::all(parts);
                return Some(if plain {
                    Node::Set { targets: vec![target], values: vec![value] }
                } else {
                    Node::Other(vec![target, value])
                });
            }
            // `a !in b`
            if self.0.now().is("!") && self.0.ahead(1).is("in") {
                self.0.next();
            }
            if !self.0.take_any(BINARY) {
                return Some(Node::all(parts));
            }
            // A range may have no end.
            if self.0.is_any(&["]", ")", "}", ";", ",", "{", "=>"]) {
                return Some(Node::Other(parts));
            }
        }
    }

    fn operand(&mut self) -> Option<Node> {
        let token = self.0.now();
        let node = match (token.kind, token.text) {
            (Kind::Number, text) => {
                self.0.next();
                Node::Number(text.replace('_', "").parse().unwrap_or(f64::NAN))
            }
            (Kind::Keyword, "true" | "false" | "this") => {
                self.0.next();
                Node::NOTHING
            }
            (Kind::Text, _) => {
                self.0.next();
                Node::Text(unquoted(token.text), spot(token))
            }
            (Kind::Begin, _) => self.interpolated()?,
            (Kind::Symbol, "#{") => self.map()?,
            (Kind::Symbol, "[") => self.list()?,
            (Kind::Symbol, "(") => {
                self.0.next();
                if self.0.take(")") {
                    Node::NOTHING
                } else {
                    let inner = self.expression()?;
                    self.0.need(")")?;
                    inner
                }
            }
            (Kind::Symbol, "|" | "||") => return self.closure(),
            (Kind::Symbol, "{") => Node::Block(self.block()?),
            (Kind::Keyword, "if" | "while" | "loop" | "do" | "switch") => self.controlled()?,
            (Kind::Name, _) => self.path()?,
            _ => return None,
        };
        self.suffixes(node)
    }

    /// Reads `a`, `a::b`.
    fn path(&mut self) -> Option<Node> {
        let (name, at) = self.0.name()?;
        let mut node = Node::Name(name, at);
        while self.0.take("::") {
            let (name, at) = self.any_name()?;
            node = Node::Member { of: Box::new(node), name, at, path: true };
        }
        Some(node)
    }

    fn suffixes(&mut self, first: Node) -> Option<Node> {
        let mut node = first;
        loop {
            let bang = self.0.now().is("!") && self.0.ahead(1).is("(");
            if bang {
                // `f!(…)` gives its variables to `f`.
                self.0.next();
            }
            if self.0.take("(") {
                let args = self.list_until(")")?;
                node = Node::Call { callee: Box::new(node), args, method: false };
            } else if self.0.take(".") || self.0.take("?.") {
                let (name, at) = self.any_name()?;
                node = Node::Member { of: Box::new(node), name, at, path: false };
                if self.0.take("(") {
                    let args = self.list_until(")")?;
                    node = Node::Call { callee: Box::new(node), args, method: true };
                }
            } else if self.0.take("[") || self.0.take("?[") {
                let index = self.expression()?;
                self.0.need("]")?;
                node = match index {
                    Node::Text(name, at) => {
                        Node::Member { of: Box::new(node), name, at, path: false }
                    }
                    index => Node::Other(vec![node, index]),
                };
            } else {
                return Some(node);
            }
        }
    }

    fn list_until(&mut self, end: &str) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        while !self.0.take(end) {
            nodes.push(self.expression()?);
            if !self.0.take(",") {
                self.0.need(end)?;
                break;
            }
        }
        Some(nodes)
    }

    fn list(&mut self) -> Option<Node> {
        self.0.next();
        let values = self.list_until("]")?;
        Some(Node::Table(values.into_iter().map(|value| Entry { name: None, value }).collect()))
    }

    fn map(&mut self) -> Option<Node> {
        self.0.next();
        let mut entries = Vec::new();
        while !self.0.take("}") {
            let token = self.0.now();
            let name = if token.kind == Kind::Text {
                self.0.next();
                (unquoted(token.text), spot(token))
            } else {
                self.any_name()?
            };
            self.0.need(":")?;
            entries.push(Entry { name: Some(name), value: self.expression()? });
            if !self.0.take(",") {
                self.0.need("}")?;
                break;
            }
        }
        Some(Node::Table(entries))
    }

    fn closure(&mut self) -> Option<Node> {
        let params = if self.0.next().text == "||" { Vec::new() } else { self.params("|")? };
        // A block, an expression, or a statement such as `throw`.
        let body = vec![self.statement()?];
        Some(Node::Function(Box::new(Function { params, returns: None, body, closure: true })))
    }

    fn interpolated(&mut self) -> Option<Node> {
        self.0.next();
        let mut parts = Vec::new();
        loop {
            // Statements may stand in there.
            while !matches!(self.0.now().kind, Kind::Middle | Kind::Finish) {
                if !self.0.take(";") {
                    parts.push(self.statement()?);
                }
            }
            if self.0.next().kind == Kind::Finish {
                return Some(Node::Block(parts));
            }
        }
    }

    /// Reads a name that may be a word of the language.
    fn any_name(&mut self) -> Option<(String, Spot)> {
        let token = self.0.next();
        let is_name = matches!(token.kind, Kind::Name | Kind::Keyword);
        is_name.then(|| (token.text.to_owned(), spot(token)))
    }
}

/// Returns what a text without escapes that matter says.
fn unquoted(text: &str) -> String {
    let inner = text.trim_matches('#');
    inner.get(1..inner.len() - 1).unwrap_or_default().to_owned()
}
