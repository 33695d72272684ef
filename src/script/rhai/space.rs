//! What Rhai evaluates in, used again: variables, imports, and which function a name means.
//!
//! Rhai makes all of that anew for each call from outside and for each closure that a native
//! function calls. The resolved functions weigh most: with none at hand, each call searches all
//! modules for each name and each combination of types that it meets.

use std::cell::{Cell, RefCell};

use rhai::{Caches, Engine, EvalContext, GlobalRuntimeState, Scope};

use super::SharedModule;

/// Most spaces that a worker keeps for its next calls.
const KEPT: usize = 64;

/// A worker's spaces that nothing is evaluated in.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "a space is more than half a KiB and moves twice per call")]
pub(super) struct Spaces(RefCell<Vec<Box<Space>>>);

struct Space {
    global: GlobalRuntimeState,
    caches: Caches,
    scope: Scope<'static>,
}

impl Spaces {
    /// Evaluates something where `global` holds, with no variables, at a depth of calls.
    ///
    /// What names mean is remembered for the next call in the same file. Imported methods
    /// (`fn string.shout()`), which the state alone does not tell, forbid that; they may also come
    /// while it runs.
    pub(super) fn evaluate<R>(
        &self,
        engine: &Engine,
        global: &GlobalRuntimeState,
        level: usize,
        has_methods: &Cell<bool>,
        run: impl FnOnce(&mut EvalContext<'_, '_, '_, '_, '_, '_>) -> R,
    ) -> R {
        let mut space = self.take(engine, global);
        adopt(&mut space.global, global);
        space.global.level = level;
        if has_methods.get() {
            space.caches = Caches::new();
        }
        let Space { global, caches, scope } = &mut *space;
        let result = run(&mut EvalContext::new(engine, global, caches, scope, None));
        space.scope.rewind(0);
        if has_methods.get() {
            space.caches = Caches::new();
        }
        let mut free = self.0.borrow_mut();
        if free.len() < KEPT {
            free.push(space);
        }
        result
    }

    /// Takes a space out, if possible one that the same functions were evaluated in.
    fn take(&self, engine: &Engine, global: &GlobalRuntimeState) -> Box<Space> {
        let mut free = self.0.borrow_mut();
        if let Some(at) = free.iter().rposition(|space| same_functions(&space.global, global)) {
            return free.swap_remove(at);
        }
        let mut space = free.pop().unwrap_or_else(|| Box::new(Space::new(engine)));
        space.caches = Caches::new();
        space
    }
}

impl Space {
    fn new(engine: &Engine) -> Self {
        Self {
            global: engine.new_global_runtime_state(),
            caches: Caches::new(),
            scope: Scope::new(),
        }
    }
}

/// Makes `global` what `from` is, and allocates only where they differ.
fn adopt(global: &mut GlobalRuntimeState, from: &GlobalRuntimeState) {
    if !same_imports(global, from) {
        global.truncate_imports(0);
        for (name, module) in from.scan_imports_raw() {
            global.push_import(name.clone(), SharedModule::clone(module));
        }
    }
    if !same_functions(global, from) {
        global.lib.clone_from(&from.lib);
    }
    global.source.clone_from(&from.source);
    global.constants.clone_from(&from.constants);
    global.num_modules_loaded = from.num_modules_loaded;
    global.scope_level = from.scope_level;
    global.always_search_scope = from.always_search_scope;
}

fn same_functions(a: &GlobalRuntimeState, b: &GlobalRuntimeState) -> bool {
    let same = |(a, b): (&SharedModule, &SharedModule)| SharedModule::ptr_eq(a, b);
    a.lib.len() == b.lib.len() && a.lib.iter().zip(&b.lib).all(same)
}

fn same_imports(a: &GlobalRuntimeState, b: &GlobalRuntimeState) -> bool {
    a.num_imports() == b.num_imports()
        && a.scan_imports_raw()
            .zip(b.scan_imports_raw())
            .all(|((a, x), (b, y))| SharedModule::ptr_eq(x, y) && a == b)
}
