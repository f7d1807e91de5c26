//! What some bytes are, by their beginning: people hand over the wrong file. `package` tells more kinds apart before bytes come here.

use super::LoadError;

const BUILD: &str = "hand over the .wasm file that 'bulkhead driver build' writes";

/// Refuse what does not begin as a component.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let (what, hint) = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [] => ("the file is empty", BUILD),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => (
            "it is a core WebAssembly module, which is not yet wrapped into a component",
            "build with 'bulkhead driver build', which wraps it and adds the manifest",
        ),
        [0, b'a', b's', b'm', ..] => (
            "it is WebAssembly of a version or layer that this host does not know",
            "build with the tools of this release: 'bulkhead driver build'",
        ),
        [0x7f, b'E', b'L', b'F', ..] => (
            "it is native code for Linux, which a vendor cannot supply",
            "drivers are WebAssembly: build with 'bulkhead driver build'",
        ),
        _ if is_text(bytes) => ("it is text; components are loaded as bytes only", BUILD),
        _ => ("it is no WebAssembly", BUILD),
    };
    Err(LoadError::NotAComponent { what, hint })
}

fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..512).unwrap_or(bytes);
    // A letter may be cut in the middle.
    let is_utf8 = std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !start.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        check(bytes).expect_err("no component").to_string()
    }

    #[test]
    fn what_is_no_component_is_called_by_its_name() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"(component)").contains("it is text"));
        assert!(refused("ä".repeat(600).as_bytes()).contains("it is text"));
        assert!(refused(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert!(refused(b"\0asm\x0d\0\x02\0").contains("version or layer"));
        assert!(refused(b"\x7fELF\x02\x01").contains("native code"));
        assert!(refused(b"\xff\xfe\0").contains("no WebAssembly"));
        assert_eq!(check(b"\0asm\x0d\0\x01\0rest"), Ok(()));
    }
}
