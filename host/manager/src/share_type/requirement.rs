//! What an extra spec asks of a reported value: Manila's operators (contract 4.11, capabilities filter). Pure.
//!
//! | operator | met if the value |
//! |---|---|
//! | none | is the same, whatever its case; where both are booleans, the same boolean |
//! | `<is>` | is the same boolean; a word that is none counts as false |
//! | `<in>` | contains the text |
//! | `<or> A <or> B` | is one of them |
//! | `=`, `>=` | is a number at least as great; `=` as in Manila |
//! | `==`, `!=`, `<=` | compares so as a number |
//! | `s==`, `s!=`, `s<`, `s<=`, `s>`, `s>=` | compares so as text |
//!
//! Numbers that are none never meet anything. `<` and `>` are no operators, as in Manila: a type that has them asks for that very text.

use std::cmp::Ordering;

/// A boolean as people write it, with or without `<is>` before it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let word = text.trim();
    let word = word.strip_prefix("<is>").unwrap_or(word).trim().to_ascii_lowercase();
    match word.as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Whether a reported value meets what is `wanted` of it.
pub(super) fn is_met(reported: &str, wanted: &str) -> bool {
    let (reported, wanted) = (reported.trim().to_ascii_lowercase(), wanted.trim().to_ascii_lowercase());
    let (operator, operand) = wanted.split_once(char::is_whitespace).unwrap_or((wanted.as_str(), ""));
    let operand = operand.trim();
    match operator {
        "<is>" => boolean(&reported).unwrap_or(false) == boolean(operand).unwrap_or(false),
        "<in>" => reported.contains(operand),
        "<or>" => operand.split("<or>").any(|one| one.trim() == reported),
        "=" | ">=" => numbers(&reported, operand).is_some_and(Ordering::is_ge),
        "==" => numbers(&reported, operand).is_some_and(Ordering::is_eq),
        "!=" => numbers(&reported, operand).is_some_and(Ordering::is_ne),
        "<=" => numbers(&reported, operand).is_some_and(Ordering::is_le),
        "s==" => reported == operand,
        "s!=" => reported != operand,
        "s<" => reported.as_str() < operand,
        "s<=" => reported.as_str() <= operand,
        "s>" => reported.as_str() > operand,
        "s>=" => reported.as_str() >= operand,
        _ => match (boolean(&reported), boolean(&wanted)) {
            (Some(reported), Some(wanted)) => reported == wanted,
            _ => reported == wanted,
        },
    }
}

fn numbers(reported: &str, wanted: &str) -> Option<Ordering> {
    reported.parse::<f64>().ok()?.partial_cmp(&wanted.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract X-01.
    #[test]
    fn what_manila_lets_through_is_let_through_here() {
        for (reported, wanted, is_let_through) in [
            ("1", "1", true),
            ("222", "2", false),
            ("4", "> 2", false),
            ("123", "= 123", true),
            ("124", "= 123", true),
            ("34", "=234", false),
            ("34", "=", false),
            ("1234", "s!= 123", true),
            ("1000", "s>= 234", false),
            ("12311321", "<in> 11", true),
            ("abc", "<in> ABC", true),
            ("true", "True", true),
            ("false", "Nonsense", false),
            ("false", "<is> Nonsense", true),
            ("12", "<or> 11 <or> 12", true),
            ("13", "<or> 11 <or> 12 <or>", false),
            ("2", "<= 10", true),
            ("NFS", "nfs", true),
        ] {
            assert_eq!(is_met(reported, wanted), is_let_through, "{reported} {wanted}");
        }
    }

    #[test]
    fn every_operator_means_what_it_means_in_manila() {
        for (reported, wanted) in [
            ("Gold", "gold"),
            ("true", "yes"),
            ("True", "<is> True"),
            ("nonsense", "<is> False"),
            ("nfs_cifs", "<in> NFS"),
            ("silver", "<or> gold <or> silver"),
            ("1000", "= 500"),
            ("1000", ">= 1000"),
            ("5.0", "== 5"),
            ("5", "!= 6"),
            ("5", "<= 5.5"),
            ("abc", "s== abc"),
            ("abc", "s!= abd"),
            ("abc", "s< abd"),
            ("abc", "s<= abc"),
            ("abd", "s> abc"),
            ("10", "s>= 1"),
            ("> 5", "> 5"),
        ] {
            assert!(is_met(reported, wanted), "{reported} {wanted}");
        }
    }

    #[test]
    fn what_does_not_compare_is_not_met() {
        for (reported, wanted) in [
            ("gold", "silver"),
            ("true", "no"),
            ("nonsense", "<is> True"),
            ("cifs", "<in> NFS"),
            ("bronze", "<or> gold <or> silver"),
            ("499", "= 500"),
            ("many", ">= 1"),
            ("1", ">= few"),
            ("many", "!= 1"),
            ("nan", "!= 1"),
            ("6", "> 5"),
            ("10", "s> 9"),
        ] {
            assert!(!is_met(reported, wanted), "{reported} {wanted}");
        }
    }
}
