//! A short word for a long text, to notice that it changed. It keeps nobody from forging one: who could has the machine.

const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The fingerprint of `content`: FNV-1a, 64 bits, with its length.
pub(crate) fn of(content: &[u8]) -> String {
    let mixed = content.iter().fold(START, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(PRIME));
    format!("{mixed:016x}-{}", content.len())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn another_text_has_another_fingerprint() {
        assert_eq!(of(b"Access_Type = RO"), of(b"Access_Type = RO"));
        assert_ne!(of(b"Access_Type = RO"), of(b"Access_Type = RW"));
        assert_eq!(of(b""), "cbf29ce484222325-0");
    }
}
