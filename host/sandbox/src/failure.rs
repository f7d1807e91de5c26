//! From what the engine says to a [`CallError`]: which limit was hit, where the guest trapped, who is to blame.

use crate::limits::{Hit, MOST_HANDLES, MOST_INSTANCES, MOST_MEMORIES, MOST_TABLES};
use crate::load::reason;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::CallError;
use bulkhead_model::text::GuestText;
use wasmtime::{FrameInfo, FrameSymbol, Trap, WasmBacktrace};

/// The most guest functions that a trap's reason names.
const MOST_FRAMES: usize = 4;
/// The longest name of a function or file in it, in bytes.
const NAME_BYTES: usize = 200;

/// What bounded the call that failed.
pub(crate) struct Bounds<'call> {
    /// The exported function.
    pub(crate) function: &'static str,
    /// The backend's limits.
    pub(crate) limits: &'call DriverLimits,
    /// The limit of memory or tables that the guest ran into, if any.
    pub(crate) hit: Option<Hit>,
}

/// Why a guest ended without an answer.
pub(crate) fn failure(error: &wasmtime::Error, bounds: &Bounds<'_>) -> CallError {
    let function = bounds.function;
    if let Some(hit) = counted(error, bounds.limits).or(bounds.hit) {
        return CallError::LimitExceeded { function, limit: hit.limit, value: hit.value };
    }
    // Without a trap and with an error of the operating system it was the machine that could not: no address space, no memory.
    if error.downcast_ref::<Trap>().is_none() && error.downcast_ref::<std::io::Error>().is_some() {
        return CallError::Host { reason: reason(error) };
    }
    CallError::Trapped { function, reason: trap_reason(error) }
}

/// The limits that the engine itself counts; it tells them by text only, which the tests hold fast.
fn counted(error: &wasmtime::Error, limits: &DriverLimits) -> Option<Hit> {
    let text = error.root_cause().to_string();
    let most = |limit, value: usize| Some(Hit { limit, value: u64::try_from(value).unwrap_or(u64::MAX) });
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Some(Hit::host_call(limits));
    }
    if text.starts_with("resource limit exceeded: instance count") {
        return most("core instances", MOST_INSTANCES);
    }
    if text.starts_with("resource limit exceeded: table count") {
        return most("tables", MOST_TABLES);
    }
    if text.starts_with("resource limit exceeded: memory count") {
        return most("memories", MOST_MEMORIES);
    }
    if text.contains("store handle limit exceeded") {
        return most("handles", MOST_HANDLES);
    }
    None
}

/// What happened and where in the guest: `wasm unreachable instruction executed, at acme::create (src/lib.rs:12), called by …`.
fn trap_reason(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    let mut text =
        GuestText::new(&cause.split_whitespace().collect::<Vec<_>>().join(" "), 1024).as_str().to_owned();
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let places: Vec<String> = frames.iter().filter_map(place).collect();
    for (number, place) in places.iter().take(MOST_FRAMES).enumerate() {
        let link = if number == 0 { "at" } else { "called by" };
        text.push_str(&format!(", {link} {place}"));
    }
    text
}

/// A guest function with file and line; none for the standard library, in which nobody looks for the fault.
fn place(frame: &FrameInfo) -> Option<String> {
    let own = frame.symbols().iter().find(|symbol| !symbol.file().is_some_and(is_of_toolchain));
    if own.is_none() && !frame.symbols().is_empty() {
        return None;
    }
    let name = own.and_then(FrameSymbol::name).or_else(|| frame.func_name());
    let name = name.map_or_else(|| format!("function {}", frame.func_index()), readable);
    if own.and_then(FrameSymbol::file).is_none() && is_of_standard_library(&name) {
        return None;
    }
    let line = own.and_then(|symbol| Some((symbol.file()?, symbol.line()?)));
    Some(match line {
        Some((file, line)) => format!("{name} ({}:{line})", GuestText::new(file, NAME_BYTES)),
        None => name,
    })
}

fn readable(name: &str) -> String {
    GuestText::new(&format!("{:#}", rustc_demangle::demangle(name)), NAME_BYTES).as_str().to_owned()
}

fn is_of_toolchain(file: &str) -> bool {
    file.contains("/rustc/")
        || file.contains("/library/core/")
        || file.contains("/library/std/")
        || file.contains("/library/alloc/")
}

fn is_of_standard_library(name: &str) -> bool {
    ["core::", "std::", "alloc::", "<core::", "<std::", "<alloc::", "rust_", "__rust", "__rustc", "abort"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings;
    use crate::limits::Limiter;
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};

    /// What instantiating `parts`, and calling its export `run` if there is one, ends with.
    fn ended(text: &str) -> wasmtime::Error {
        let engine = wasmtime::Engine::new(&settings()).expect("an engine");
        let bytes = wat::parse_str(text).expect("the text of a component");
        let component = Component::new(&engine, bytes).expect("a component");
        let mut store = Store::new(&engine, Limiter::new(&DriverLimits::default()));
        store.limiter(|limiter| limiter);
        store.set_epoch_deadline(1);
        store.set_max_component_handles(MOST_HANDLES);
        let instance = match Linker::new(&engine).instantiate(&mut store, &component) {
            Ok(instance) => instance,
            Err(error) => return error,
        };
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("the function");
        run.call(&mut store, ()).expect_err("a limit")
    }

    fn many(module: &str, count: usize) -> wasmtime::Error {
        let mut text = format!("(component (core module $module {module})");
        for _ in 0..count {
            text.push_str("(core instance (instantiate $module))");
        }
        ended(&format!("{text})"))
    }

    fn limit(error: &wasmtime::Error) -> Option<&'static str> {
        counted(error, &DriverLimits::default()).map(|hit| hit.limit)
    }

    #[test]
    fn every_limit_that_the_engine_counts_is_told_apart() {
        assert_eq!(limit(&many("", MOST_INSTANCES + 1)), Some("core instances"));
        assert_eq!(limit(&many("(table 1 funcref)", MOST_TABLES + 1)), Some("tables"));
        assert_eq!(limit(&many("(memory 1)", MOST_MEMORIES + 1)), Some("memories"));
        let hoarder = r#"(component
            (type $resource (resource (rep i32)))
            (core func $new (canon resource.new $resource))
            (core module $module
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "run") (loop (drop (call $new (i32.const 0))) (br 0))))
            (core instance $instance (instantiate $module (with "" (instance (export "new" (func $new))))))
            (func (export "run") (canon lift (core func $instance "run"))))"#;
        assert_eq!(limit(&ended(hoarder)), Some("handles"));
    }

    #[test]
    fn the_library_is_passed_over_and_names_are_readable() {
        assert!(is_of_toolchain("/rustc/0123/library/core/src/panicking.rs"));
        assert!(!is_of_toolchain("/home/acme/src/lib.rs"));
        assert!(is_of_standard_library("core::panicking::panic"));
        assert_eq!(readable("_ZN4acme6create17h0123456789abcdefE"), "acme::create");
    }
}
