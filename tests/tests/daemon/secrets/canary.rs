//! Secrets to search for, and every spelling that a search has to know.

/// A secret with letters that every format escapes in its own way. Its beginning alone is no other's: tests that run beside have theirs.
pub(super) fn canary(number: u32) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let (beginning, end) = unique.split_at(8);
    format!("k{number:02}{beginning}#Vogel & \"Käfig\\/{end}+%")
}

fn percent(text: &str) -> String {
    let letter = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// What of the Base64 of anything that holds `text` is decided by it alone, at each of the three distances.
fn base64(text: &str) -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |bytes: &[u8]| -> String {
        let bits: Vec<u8> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let letter = |six: &[u8]| {
            let index = six.iter().fold(0_usize, |index, bit| index << 1 | usize::from(*bit));
            char::from(LETTERS[index])
        };
        bits.chunks_exact(6).map(letter).collect()
    };
    (0..3)
        .map(|distance| {
            let shifted = [vec![0; distance], text.as_bytes().to_vec()].concat();
            encode(&shifted).chars().skip((distance * 8).div_ceil(6)).collect()
        })
        .collect()
}

/// What is searched for: whole in every spelling, the beginning that a cut output would leave, and the part that no format escapes.
pub(super) fn spellings(canary: &str) -> Vec<String> {
    let json = serde_json::to_string(canary).expect("JSON");
    let json = json.get(1..json.len() - 1).expect("quotes").to_owned();
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        canary.to_owned(),
        canary.chars().take(10).collect(),
        percent(canary),
        percent(canary).to_lowercase(),
        canary.replace('&', "&amp;").replace('"', "&quot;"),
        json.clone(),
        serde_json::to_string(&json).expect("JSON"),
        format!("{canary:?}"),
        hex.to_uppercase(),
        hex,
    ];
    if let Some(middle) = canary.split('/').nth(1) {
        all.push(middle.trim_end_matches(['+', '%']).to_owned());
    }
    all.extend(base64(canary));
    all
}
