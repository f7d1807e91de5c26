//! What some bytes are, when they are not a component: people hand over the wrong file.

/// What was found instead of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// A component, as far as its first eight bytes tell.
    Component,
    /// A core module: what cargo builds before it is wrapped.
    CoreModule,
    /// WebAssembly of another version or layer.
    OtherWasm,
    /// A component in text form.
    ComponentText,
    /// A module in text form.
    ModuleText,
    /// WIT.
    Wit,
    /// A driver's manifest.
    Manifest,
    /// Other text.
    Text,
    /// A Linux program or library.
    Elf,
    /// A compressed file.
    Compressed,
    /// Anything else.
    Unknown,
}

impl Kind {
    /// Look at the first bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Empty,
            [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Self::Component,
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Self::CoreModule,
            [0, b'a', b's', b'm', ..] => Self::OtherWasm,
            [0x7f, b'E', b'L', b'F', ..] => Self::Elf,
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', 3, 4, ..] => Self::Compressed,
            other => Self::of_text(other),
        }
    }

    fn of_text(bytes: &[u8]) -> Self {
        let start = bytes.get(..4096).unwrap_or(bytes);
        let text = match std::str::from_utf8(start) {
            Ok(text) => text,
            // The cut may have split a letter.
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(start.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
            Err(_) => return Self::Unknown,
        };
        if text.contains('\0') || text.is_empty() {
            return Self::Unknown;
        }
        let comment = |line: &&str| {
            line.is_empty() || [";;", "//", "///", "#"].iter().any(|mark| line.starts_with(mark))
        };
        match text.lines().map(str::trim).find(|line| !comment(line)).unwrap_or_default() {
            line if line.starts_with("(component") => Self::ComponentText,
            line if line.starts_with("(module") => Self::ModuleText,
            line if ["package ", "world ", "interface "].iter().any(|word| line.starts_with(word)) => {
                Self::Wit
            }
            "[driver]" => Self::Manifest,
            _ => Self::Text,
        }
    }

    /// What it is and what to do, each a sentence.
    #[must_use]
    pub const fn advice(self) -> (&'static str, &'static str) {
        const BUILD: &str = "hand over the .wasm file that 'bulkhead driver build' writes";
        match self {
            Self::Empty => ("the file is empty", BUILD),
            Self::Component => ("it is a WebAssembly component", BUILD),
            Self::CoreModule => (
                "it is a core WebAssembly module, which is not yet wrapped into a component",
                "build with 'bulkhead driver build', which wraps it and adds the manifest",
            ),
            Self::OtherWasm => (
                "it is WebAssembly of a version or layer that this host does not know",
                "build with the tools of this release: 'bulkhead driver build'",
            ),
            Self::ComponentText => (
                "it is a component written as text",
                "components are loaded as bytes only; 'bulkhead driver build' writes them",
            ),
            Self::ModuleText => (
                "it is a WebAssembly module written as text",
                "components are loaded as bytes only; 'bulkhead driver build' writes them",
            ),
            Self::Wit => ("it is WIT, the language interfaces are written in", BUILD),
            Self::Manifest => ("it is a driver's manifest; a package carries it inside", BUILD),
            Self::Text => ("it is a text file", BUILD),
            Self::Elf => (
                "it is native code for Linux, which a vendor cannot supply",
                "drivers are WebAssembly: build with 'bulkhead driver build'",
            ),
            Self::Compressed => ("it is a compressed file", "unpack it first"),
            Self::Unknown => ("it is no WebAssembly", BUILD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let known: [(&[u8], Kind); 11] = [
            (b"", Kind::Empty),
            (b"\0asm\x0d\0\x01\0", Kind::Component),
            (b"\0asm\x01\0\0\0", Kind::CoreModule),
            (b"\0asm", Kind::OtherWasm),
            (b";; a driver\n(component)", Kind::ComponentText),
            (b"(module)", Kind::ModuleText),
            (b"// the contract\npackage a:b;", Kind::Wit),
            (b"# mine\n[driver]\nname = 'x'", Kind::Manifest),
            (b"hello", Kind::Text),
            (b"\x7fELF\x02", Kind::Elf),
            (b"\xff\xfe\0", Kind::Unknown),
        ];
        for (bytes, kind) in known {
            assert_eq!(Kind::of(bytes), kind, "{bytes:?}");
        }
        assert_eq!(Kind::of("ä".repeat(3000).as_bytes()), Kind::Text);
    }
}
