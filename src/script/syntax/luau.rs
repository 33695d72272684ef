//! Luau's statements and expressions as a [`Node`]. What the compiler refuses need not be refused
//! here: a text that is not understood is nothing.

use super::parser::{Parser, spot};
use super::tokens::{Dialect, Kind, tokens};
use super::tree::{Entry, Function, Node, Param};
use super::types;
use crate::script::place::Spot;

/// What ends a block.
const ENDS: &[&str] = &["end", "else", "elseif", "until"];

/// Returns what a text says.
pub(super) fn parse(text: &str) -> Option<Vec<Node>> {
    let (tokens, _) = tokens(text, Dialect::Luau)?;
    let mut parser = Parser::new(&tokens);
    let nodes = parser.block()?;
    (parser.now().kind == Kind::End).then_some(nodes)
}

impl Parser<'_> {
    fn block(&mut self) -> Option<Vec<Node>> {
        self.enter()?;
        let mut nodes = Vec::new();
        while !self.is_any(ENDS) && self.now().kind != Kind::End {
            if !self.take(";") {
                nodes.push(self.statement()?);
            }
        }
        self.leave();
        Some(nodes)
    }

    fn statement(&mut self) -> Option<Node> {
        let token = self.now();
        if token.kind == Kind::Keyword {
            match token.text {
                "local" => return self.local(),
                "function" => return self.function_statement(),
                "if" => return self.if_statement(),
                "for" => return self.for_statement(),
                "while" => {
                    self.next();
                    let condition = self.expression()?;
                    self.need("do")?;
                    let body = self.ended_block()?;
                    return Some(Node::Other(vec![condition, body]));
                }
                "repeat" => {
                    self.next();
                    let mut body = self.block()?;
                    self.need("until")?;
                    // The condition sees the names of the body.
                    body.push(self.expression()?);
                    return Some(Node::Block(body));
                }
                "do" => {
                    self.next();
                    return self.ended_block();
                }
                "return" => return self.return_statement(),
                "break" => {
                    self.next();
                    return Some(Node::NOTHING);
                }
                _ => {}
            }
        }
        if token.is("@") {
            self.attributes()?;
            return self.statement();
        }
        if let Some(node) = types::alias(self) {
            return node;
        }
        let is_continue = token.kind == Kind::Name && token.text == "continue";
        let next = self.ahead(1);
        if is_continue && !["=", ".", "(", "[", ":", ","].iter().any(|sign| next.is(sign)) {
            self.next();
            return Some(Node::NOTHING);
        }
        self.expression_statement()
    }

    /// Passes over `@native` and `@[deprecated { … }]`.
    fn attributes(&mut self) -> Option<()> {
        while self.take("@") {
            if !self.take("[") {
                self.next();
                continue;
            }
            let mut depth = 1;
            while depth > 0 {
                let token = self.next();
                depth += i32::from(token.is("[")) - i32::from(token.is("]"));
                if token.kind == Kind::End {
                    return None;
                }
            }
        }
        Some(())
    }

    fn local(&mut self) -> Option<Node> {
        self.need("local")?;
        if self.take("function") {
            let name = self.name()?;
            let function = self.function_body(false)?;
            return Some(Node::Let { names: vec![name], values: vec![function], constant: false });
        }
        let names = self.names()?;
        let values = if self.take("=") { self.expressions()? } else { Vec::new() };
        Some(Node::Let { names, values, constant: false })
    }

    /// Reads `a, b: T`.
    fn names(&mut self) -> Option<Vec<(String, Spot)>> {
        let mut names = Vec::new();
        loop {
            names.push(self.name()?);
            if self.take(":") {
                types::shape(self)?;
            }
            if !self.take(",") {
                return Some(names);
            }
        }
    }

    fn function_statement(&mut self) -> Option<Node> {
        self.need("function")?;
        let (name, at) = self.name()?;
        let mut target = Node::Name(name, at);
        let mut method = false;
        while self.now().is(".") || self.now().is(":") {
            method = self.next().text == ":";
            let (name, at) = self.name()?;
            target = Node::Member { of: Box::new(target), name, at, path: false };
        }
        let function = self.function_body(method)?;
        Some(Node::Set { targets: vec![target], values: vec![function] })
    }

    fn if_statement(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        self.need("if")?;
        loop {
            parts.push(self.expression()?);
            self.need("then")?;
            parts.push(Node::Block(self.block()?));
            if self.take("elseif") {
                continue;
            }
            if self.take("else") {
                parts.push(Node::Block(self.block()?));
            }
            self.need("end")?;
            return Some(Node::Other(parts));
        }
    }

    fn for_statement(&mut self) -> Option<Node> {
        self.need("for")?;
        let names = self.names()?;
        if !self.take("=") {
            self.need("in")?;
        }
        let mut parts = self.expressions()?;
        self.need("do")?;
        parts.push(Node::Let { names, values: Vec::new(), constant: false });
        parts.push(self.ended_block()?);
        Some(Node::Block(parts))
    }

    fn return_statement(&mut self) -> Option<Node> {
        self.need("return")?;
        if self.is_any(ENDS) || self.now().is(";") || self.now().kind == Kind::End {
            return Some(Node::NOTHING);
        }
        self.expressions().map(Node::Other)
    }

    fn ended_block(&mut self) -> Option<Node> {
        let block = self.block()?;
        self.need("end")?;
        Some(Node::Block(block))
    }

    fn expression_statement(&mut self) -> Option<Node> {
        let first = self.primary()?;
        let token = self.now();
        if token.is(",") || token.is("=") {
            let mut targets = vec![first];
            while self.take(",") {
                targets.push(self.primary()?);
            }
            self.need("=")?;
            let values = self.expressions()?;
            return Some(Node::Set { targets, values });
        }
        if token.kind == Kind::Symbol && token.text.len() > 1 && token.text.ends_with('=') {
            self.next();
            return Some(Node::Other(vec![first, self.expression()?]));
        }
        matches!(first, Node::Call { .. } | Node::Module(..)).then_some(first)
    }

    fn expressions(&mut self) -> Option<Vec<Node>> {
        let mut found = vec![self.expression()?];
        while self.take(",") {
            found.push(self.expression()?);
        }
        Some(found)
    }

    /// Reads an expression; which operator binds how does not matter here.
    pub(super) fn expression(&mut self) -> Option<Node> {
        const BINARY: &[&str] = &[
            "+", "-", "*", "/", "//", "%", "^", "..", "<", "<=", ">", ">=", "==", "~=", "and", "or",
        ];
        self.enter()?;
        let mut parts = Vec::new();
        loop {
            while self.take_any(&["-", "not", "#"]) {}
            let mut part = self.operand()?;
            while self.take("::") {
                part = Node::Cast { value: Box::new(part), shape: types::shape(self)? };
            }
            parts.push(part);
            if !self.take_any(BINARY) {
                self.leave();
                return Some(Node::all(parts));
            }
        }
    }

    fn operand(&mut self) -> Option<Node> {
        let token = self.now();
        match (token.kind, token.text) {
            (Kind::Number, text) => {
                self.next();
                Some(Node::Number(text.parse().unwrap_or(f64::NAN)))
            }
            (Kind::Keyword, "nil" | "true" | "false") => {
                self.next();
                Some(Node::NOTHING)
            }
            (Kind::Symbol, "...") => {
                self.next();
                Some(Node::Rest)
            }
            (Kind::Keyword, "function") => {
                self.next();
                self.function_body(false)
            }
            (Kind::Symbol, "@") => {
                self.attributes()?;
                self.operand()
            }
            (Kind::Keyword, "if") => self.if_expression(),
            (Kind::Begin, _) => self.interpolated(),
            (Kind::Text, _) => self.text(),
            (Kind::Symbol, "{") => self.table(),
            _ => self.primary(),
        }
    }

    fn if_expression(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        self.need("if")?;
        loop {
            parts.push(self.expression()?);
            self.need("then")?;
            parts.push(self.expression()?);
            if !self.take("elseif") {
                self.need("else")?;
                parts.push(self.expression()?);
                return Some(Node::Other(parts));
            }
        }
    }

    fn interpolated(&mut self) -> Option<Node> {
        self.next();
        let mut parts = Vec::new();
        loop {
            parts.push(self.expression()?);
            match self.next().kind {
                Kind::Middle => {}
                Kind::Finish => return Some(Node::Other(parts)),
                _ => return None,
            }
        }
    }

    fn text(&mut self) -> Option<Node> {
        let token = self.next();
        Some(Node::Text(unquoted(token.text), spot(token)))
    }

    fn table(&mut self) -> Option<Node> {
        self.need("{")?;
        let mut entries = Vec::new();
        while !self.take("}") {
            let mut name = None;
            if self.now().kind == Kind::Name && self.ahead(1).is("=") {
                name = Some(self.name()?);
                self.next();
            } else if self.take("[") {
                let key = self.expression()?;
                self.need("]")?;
                self.need("=")?;
                match key {
                    Node::Text(text, at) => name = Some((text, at)),
                    // A name that is computed is no name, and neither is the value a place's.
                    other => entries.push(Entry { name: None, value: other }),
                }
            }
            entries.push(Entry { name, value: self.expression()? });
            if !self.take(",") && !self.take(";") {
                self.need("}")?;
                break;
            }
        }
        Some(Node::Table(entries))
    }

    fn primary(&mut self) -> Option<Node> {
        let mut node = if self.take("(") {
            let inner = self.expression()?;
            self.need(")")?;
            inner
        } else {
            let (name, at) = self.name()?;
            Node::Name(name, at)
        };
        loop {
            let token = self.now();
            node = match (token.kind, token.text) {
                (Kind::Symbol, ".") => {
                    self.next();
                    let (name, at) = self.name()?;
                    Node::Member { of: Box::new(node), name, at, path: false }
                }
                (Kind::Symbol, "[") => {
                    self.next();
                    let index = self.expression()?;
                    self.need("]")?;
                    match index {
                        Node::Text(name, at) => {
                            Node::Member { of: Box::new(node), name, at, path: false }
                        }
                        index => Node::Other(vec![node, index]),
                    }
                }
                (Kind::Symbol, ":") => {
                    self.next();
                    let (name, at) = self.name()?;
                    let args = self.arguments()?;
                    let callee =
                        Box::new(Node::Member { of: Box::new(node), name, at, path: false });
                    Node::Call { callee, args, method: true }
                }
                (Kind::Symbol, "(" | "{") | (Kind::Text | Kind::Begin, _) => {
                    let args = self.arguments()?;
                    called(node, args)
                }
                _ => return Some(node),
            };
        }
    }

    fn arguments(&mut self) -> Option<Vec<Node>> {
        let token = self.now();
        match (token.kind, token.text) {
            (Kind::Text, _) => Some(vec![self.text()?]),
            (Kind::Begin, _) => Some(vec![self.interpolated()?]),
            (Kind::Symbol, "{") => Some(vec![self.table()?]),
            _ => {
                self.need("(")?;
                if self.take(")") {
                    return Some(Vec::new());
                }
                let args = self.expressions()?;
                self.need(")")?;
                Some(args)
            }
        }
    }

    fn function_body(&mut self, method: bool) -> Option<Node> {
        types::generics(self)?;
        self.need("(")?;
        let mut params = Vec::new();
        if method {
            params.push(Param { name: "self".to_owned(), shape: None });
        }
        while !self.take(")") {
            let name = if self.take("...") { "...".to_owned() } else { self.name()?.0 };
            let shape = if self.take(":") { Some(types::shape(self)?) } else { None };
            params.push(Param { name, shape });
            if !self.take(",") {
                self.need(")")?;
                break;
            }
        }
        let returns = if self.take(":") { Some(types::shape(self)?) } else { None };
        let body = self.block()?;
        self.need("end")?;
        Some(Node::Function(Box::new(Function { params, returns, body, closure: true })))
    }
}

/// Returns a call, or the module that a `require` names.
fn called(callee: Node, mut args: Vec<Node>) -> Node {
    let is_require = matches!(&callee, Node::Name(name, _) if name == "require");
    match args.as_mut_slice() {
        [Node::Text(name, at)] if is_require => Node::Module(std::mem::take(name), *at),
        _ => Node::Call { callee: Box::new(callee), args, method: false },
    }
}

/// Returns what a string without escapes that matter says.
pub(super) fn unquoted(text: &str) -> String {
    let inner = match text.as_bytes().first() {
        Some(b'[') => {
            let level = text.bytes().skip(1).take_while(|byte| *byte == b'=').count();
            text.get(level + 2..text.len() - level - 2).unwrap_or_default()
        }
        _ => text.get(1..text.len() - 1).unwrap_or_default(),
    };
    inner.to_owned()
}
