//! Tables of what can be called: modules, functions, objects and their methods.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use super::{ApiError, Args, Value, VuContext};

/// A module that scripts load as `@kingtide/NAME` or `kingtide/NAME` (`kingtide` itself: `""`).
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Its name; empty for `kingtide`.
    pub name: &'static str,
    /// What it offers to call.
    pub functions: &'static [Function],
    /// What it offers to read.
    pub constants: &'static [Constant],
}

/// A function of a module.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name; `log.info` lies in the table `log` of the module.
    pub name: &'static str,
    /// Its parameters' names in order; a `?` at the end marks one that may be missing, `...` any
    /// number of further ones.
    pub params: &'static [&'static str],
    /// What it does.
    pub run: Run,
}

/// How a function runs.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// At once.
    Now(fn(&Rc<VuContext>, Args) -> Result<Value, ApiError>),
    /// It may wait; to the script it looks like a blocking call.
    Wait(fn(&Rc<VuContext>, Args) -> Result<Wait, ApiError>),
    /// It takes callbacks, so each language's adapter writes it over native parts.
    Script,
}

/// What a waiting call waits for. Dropping it cancels the operation.
pub type Wait = Pin<Box<dyn Future<Output = Result<Value, ApiError>>>>;

/// A value of a module. It is asked for once per worker, before any VU, so it must not depend on
/// one; an [`Object`] finds its VU when it is used.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Makes it.
    pub value: fn() -> Value,
}

/// A method of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its parameters' names, as in [`Function::params`].
    pub params: &'static [&'static str],
    /// Whether calls may answer [`Answer::Wait`]. If not, they must answer [`Answer::Now`].
    pub waits: bool,
}

/// What a method answers.
pub enum Answer {
    /// A value.
    Now(Value),
    /// Something to wait for.
    Wait(Wait),
}

/// A native thing that a script holds by handle.
///
/// It lives as long as the script keeps it, in one VU, on one thread.
pub trait Object: Any {
    /// Returns what it is, for messages: `response`.
    fn type_name(&self) -> &'static str;

    /// Returns a field, or `None` if it has no such field (which is an error in the script that
    /// names the nearest of [`Object::fields`]). By default there are none.
    ///
    /// # Errors
    /// If its value cannot be had.
    fn get(&self, _vu: &Rc<VuContext>, _field: &str) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }

    /// Sets a field.
    ///
    /// # Errors
    /// If it cannot be set, which is the default.
    fn set(&self, _vu: &Rc<VuContext>, field: &str, _value: Value) -> Result<(), ApiError> {
        Err(ApiError::usage(format!("{}.{field} cannot be set", self.type_name())))
    }

    /// Returns whether objects can be put into its fields: in Rhai `a.b.c = x` ends with `a.b = a.b`.
    fn takes_objects(&self) -> bool {
        false
    }

    /// Returns the names of its fields, for messages and documentation.
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns its methods.
    fn methods(&self) -> &'static [Method] {
        &[]
    }

    /// Calls a method of [`Object::methods`].
    ///
    /// # Errors
    /// If the call is wrong; by default always, since there are no methods.
    fn call(
        self: Rc<Self>,
        _vu: &Rc<VuContext>,
        method: &'static Method,
        _args: Args,
    ) -> Result<Answer, ApiError> {
        Err(ApiError::usage(format!("{} has no method `{}`", self.type_name(), method.name)))
    }

    /// Returns what iterating over it yields, if it can be iterated: names and values.
    fn entries(&self, _vu: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        None
    }

    /// Returns how many items it has, if it is a list: iterating over it then yields these.
    fn length(&self) -> Option<usize> {
        None
    }

    /// Returns an item of a list by its place from 0.
    fn item(&self, _place: usize) -> Value {
        Value::Nil
    }

    /// Returns the bytes that it holds outside the script's own memory, to be counted to its VU.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Returns what it holds together with other objects, if it does. A call of a method may be the
    /// first to make it hold something; it then keeps that.
    fn shared(&self) -> Option<&Rc<Shared>> {
        None
    }

    /// Returns it as text, for logs.
    fn describe(&self) -> String {
        format!("<{}>", self.type_name())
    }
}

impl dyn Object {
    /// Returns it as what it is, if it is that.
    pub fn downcast_ref<T: Object>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }

    /// Does what [`Self::downcast_ref`] does, with the handle.
    pub fn downcast<T: Object>(self: Rc<Self>) -> Option<Rc<T>> {
        let any: Rc<dyn Any> = self;
        any.downcast().ok()
    }
}

/// Bytes that several objects hold together: they are counted once, from the first handle in a script
/// to the last, where the first was counted.
#[derive(Debug)]
pub struct Shared {
    bytes: usize,
    handles: Cell<usize>,
    counts: RefCell<Vec<Rc<Cell<usize>>>>,
}

impl Shared {
    /// Returns so many bytes that nobody holds yet.
    pub const fn new(bytes: usize) -> Self {
        Self { bytes, handles: Cell::new(0), counts: RefCell::new(Vec::new()) }
    }

    /// Adds a handle, and the bytes to these counts if it is the first.
    pub fn enter<'c>(&self, counts: impl IntoIterator<Item = &'c Rc<Cell<usize>>>) {
        let handles = self.handles.replace(self.handles.get() + 1);
        if handles == 0 {
            let counts: Vec<_> = counts.into_iter().map(Rc::clone).collect();
            for count in &counts {
                count.set(count.get() + self.bytes);
            }
            self.counts.replace(counts);
        }
    }

    /// Takes a handle away, and the bytes from where they were counted if it is the last.
    pub fn leave(&self) {
        self.handles.set(self.handles.get() - 1);
        if self.handles.get() == 0 {
            for count in self.counts.take() {
                count.set(count.get() - self.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bytes_are_counted_once_and_taken_from_where_they_were_counted() {
        let shared = Shared::new(100);
        let (one, other) = (Rc::new(Cell::new(1)), Rc::new(Cell::new(2)));
        shared.enter([&one]);
        shared.enter([&other]);
        assert_eq!((one.get(), other.get()), (101, 2));
        shared.leave();
        assert_eq!((one.get(), other.get()), (101, 2));
        shared.leave();
        assert_eq!((one.get(), other.get()), (1, 2));
        shared.enter([&one, &other]);
        assert_eq!((one.get(), other.get()), (101, 102));
    }
}
