//! What Rhai evaluates in, used again: variables, imports, and which function a name means.
//!
//! Rhai makes all of that anew for each call from outside and for each closure that a native
//! function calls. The resolved functions weigh most: with none at hand, each call searches all
//! modules for each name and each combination of types that it meets.

use std::cell::RefCell;

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
    /// Evaluates something as if where `global` holds, one level deeper, with no variables.
    ///
    /// `same` says whether a name means the same function in all calls of the worker: it does
    /// unless files were imported, whose functions have names of their own. It is asked again at
    /// the end.
    pub(super) fn evaluate<R>(
        &self,
        engine: &Engine,
        global: &GlobalRuntimeState,
        same: impl Fn() -> bool,
        run: impl FnOnce(&mut EvalContext<'_, '_, '_, '_, '_, '_>) -> R,
    ) -> R {
        let free = self.0.borrow_mut().pop();
        let mut space = free.unwrap_or_else(|| Box::new(Space::new(engine)));
        adopt(&mut space.global, global);
        if !same() {
            space.caches = Caches::new();
        }
        let Space { global, caches, scope } = &mut *space;
        let result = run(&mut EvalContext::new(engine, global, caches, scope, None));
        space.scope.rewind(0);
        if !same() {
            space.caches = Caches::new();
        }
        let mut free = self.0.borrow_mut();
        if free.len() < KEPT {
            free.push(space);
        }
        result
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

/// Makes `global` what `from` is, one level deeper, and allocates only where they differ.
fn adopt(global: &mut GlobalRuntimeState, from: &GlobalRuntimeState) {
    if !same_imports(global, from) {
        global.truncate_imports(0);
        for (name, module) in from.scan_imports_raw() {
            global.push_import(name.clone(), SharedModule::clone(module));
        }
    }
    let same = |(a, b): (&SharedModule, &SharedModule)| SharedModule::ptr_eq(a, b);
    if global.lib.len() != from.lib.len() || !global.lib.iter().zip(&from.lib).all(same) {
        global.lib.clone_from(&from.lib);
    }
    global.source.clone_from(&from.source);
    global.constants.clone_from(&from.constants);
    global.num_modules_loaded = from.num_modules_loaded;
    global.level = from.level + 1;
    global.scope_level = from.scope_level;
    global.always_search_scope = from.always_search_scope;
}

fn same_imports(a: &GlobalRuntimeState, b: &GlobalRuntimeState) -> bool {
    a.num_imports() == b.num_imports()
        && a.scan_imports_raw()
            .zip(b.scan_imports_raw())
            .all(|((a, x), (b, y))| SharedModule::ptr_eq(x, y) && a == b)
}
