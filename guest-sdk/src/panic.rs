//! What a panic says, written into the host's log. A trap names the function and the line; the message would be lost: a component has no
//! standard error. The glue installs this before anything of the driver runs; in native tests panics are the test's own.

/// Have panics of this instance written into the host's log, at level error. The first time only: a driver may set a hook of its own.
#[cfg(target_arch = "wasm32")]
pub(crate) fn write_to_log() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            crate::log::error(&told(panic.payload_as_str(), panic.location()));
        }));
    });
}

/// Native tests say themselves where they panicked.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const fn write_to_log() {}

#[cfg(any(target_arch = "wasm32", test))]
fn told(message: Option<&str>, place: Option<&std::panic::Location<'_>>) -> String {
    let message = message.unwrap_or("without a message");
    match place {
        Some(place) => format!("panicked at {place}: {message}"),
        None => format!("panicked: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_message_and_place() {
        let place = std::panic::Location::caller();
        let line = told(Some("no pool"), Some(place));
        assert_eq!(line, format!("panicked at {}:{}:{}: no pool", file!(), place.line(), place.column()));
        assert_eq!(told(None, None), "panicked: without a message");
    }
}
