//! How wasmtime is set up: what guests may use of WebAssembly, how they are interrupted, and memory that makes a fresh instance cheap.

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, WasmBacktraceDetails};

/// The stack of a guest, in bytes.
const GUEST_STACK_BYTES: usize = 512 << 10;
/// The stack on which a guest and the host functions it calls run, in bytes; used only as far as it is touched.
const WHOLE_STACK_BYTES: usize = 2 << 20;
/// Address space that a memory gets at once and grows into without moving, in bytes. Guests are small and live for one call: gigabytes
/// would save them bounds checks, and make every fresh instance dearer than that is worth.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 20;
/// Further address space of a memory that has outgrown it, in bytes.
const MEMORY_GROWTH_BYTES: u64 = 4 << 20;
/// The guard behind a memory, in bytes.
const MEMORY_GUARD_BYTES: u64 = 64 << 10;

/// The settings of the one engine. Anything changed here changes the compatibility hash, so that older compiled code is not taken.
pub(crate) fn settings() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(WHOLE_STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cranelift_opt_level(OptLevel::Speed);
    narrow(&mut config);
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_reservation_for_growth(MEMORY_GROWTH_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .guard_before_linear_memory(false)
        .memory_init_cow(true)
        .table_lazy_init(true);
    config
}

/// Leave out what no driver needs: what is not there cannot be wrong.
fn narrow(config: &mut Config) {
    config.wasm_memory64(false).wasm_relaxed_simd(false).wasm_multi_memory(false).wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false).wasm_stack_switching(false);
}
