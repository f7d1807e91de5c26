//! An SSH exec is one string, which a shell at the other end takes apart again.

/// A word for a POSIX shell: in single quotes, whatever it holds but a NUL, for which there is none.
pub(crate) fn posix(word: &str) -> Option<String> {
    (!word.contains('\0')).then(|| format!("'{}'", word.replace('\'', r"'\''")))
}

/// A word for a command line that knows no quotes: as it stands, of an alphabet that no such line takes apart.
pub(crate) fn plain(word: &str) -> Option<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._:/=,@%+-".contains(letter);
    (!word.is_empty() && word.chars().all(allowed)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gives_back_the_words_that_were_quoted() {
        let words =
            ["plain", "", "two words", "it's", "$(reboot)", "`id`", "a\nb", "\\", "-oProxyCommand=x", "''"];
        for word in words {
            let line = format!("printf %s {}", posix(word).expect("no NUL"));
            let output = std::process::Command::new("sh").args(["-c", &line]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
        assert_eq!(posix("a\0b"), None);
    }

    #[test]
    fn a_line_without_quotes_takes_no_letter_that_could_end_a_word() {
        assert_eq!(plain("share-1_a.b:/x=y,z@w%+"), Some("share-1_a.b:/x=y,z@w%+".to_owned()));
        for word in
            ["", "a b", "a;b", "a|b", "a$b", "a'b", "a\"b", "a\nb", "a&b", "a>b", "a*b", "é", "a\\b", "a?b"]
        {
            assert_eq!(plain(word), None, "{word}");
        }
    }
}
