//! What an operator sets for a backend, checked against what its driver declares and what every backend inherits.

use bulkhead_model::base_option::share_opts;
use bulkhead_model::manifest::{OptionDeclaration, OptionType, OptionValue};
use bulkhead_model::secret::SecretReference;
use bulkhead_model::suggestion::nearest;
use std::collections::BTreeMap;
use std::fmt;

/// The longest text of an option, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;

/// An option that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option '{key}': {message}")]
pub struct OptionProblem {
    /// The key as the operator wrote it, or the missing one.
    pub key: String,
    /// What is wrong. Never the value of a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All options that are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct OptionsError {
    /// What is wrong, in the order of the keys.
    pub problems: Vec<OptionProblem>,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{problem}")?;
            if let Some(hint) = &problem.hint {
                write!(formatter, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// Check `given` against the driver's options and the inherited ones. The answer holds what was set, under today's names; defaults
/// are not filled in.
///
/// # Errors
/// Every key that is unknown, misspelt, of the wrong type, outside its bounds, set twice under two names, or missing.
pub fn validate(
    declared: &[OptionDeclaration],
    given: &toml::Table,
) -> Result<BTreeMap<String, OptionValue>, OptionsError> {
    let inherited = share_opts();
    let known: Vec<&OptionDeclaration> = declared.iter().chain(&inherited).collect();
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, value) in given {
        match find(&known, key).ok_or_else(|| unknown(&known, key)).and_then(|option| {
            let value = convert(option, value).map_err(|message| problem(key, message))?;
            Ok((option, value))
        }) {
            Ok((option, value)) => {
                if values.insert(option.name.clone(), value).is_some() {
                    let message = format!("'{}' is its name today, and both are set", option.name);
                    problems.push(OptionProblem {
                        hint: Some(format!("take '{key}' away")),
                        ..problem(key, message)
                    });
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    for option in known.iter().filter(|option| option.required && !values.contains_key(&option.name)) {
        let named = std::iter::once(&option.name).chain(&option.deprecated_names);
        if !named.into_iter().any(|name| given.contains_key(name)) {
            let hint = Some(format!("{} = {}  # {}", option.name, example(option.option_type), option.help));
            problems.push(OptionProblem { hint, ..problem(&option.name, "must be set".to_owned()) });
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(OptionsError { problems }) }
}

/// The old names that `given` uses, each with today's name: for a warning.
#[must_use]
pub fn deprecated_names<'a>(
    declared: &'a [OptionDeclaration],
    given: &'a toml::Table,
) -> Vec<(&'a str, &'a str)> {
    let pairs = declared
        .iter()
        .flat_map(|option| option.deprecated_names.iter().map(|old| (old.as_str(), option.name.as_str())));
    pairs.filter(|(old, _)| given.contains_key(*old)).collect()
}

/// Why `value` is none of the option's; none if it is.
#[must_use]
pub fn misfit(option: &OptionDeclaration, value: &OptionValue) -> Option<String> {
    match (option.option_type, value) {
        (OptionType::String, OptionValue::Text(text)) => text_misfit(text),
        (OptionType::Integer, OptionValue::Integer(number)) => integer_misfit(option, *number),
        (OptionType::Float, OptionValue::Integer(number)) => integer_misfit(option, *number),
        (OptionType::Float, OptionValue::Float(number)) => float_misfit(option, *number),
        (OptionType::Boolean, OptionValue::Boolean(_)) => None,
        (OptionType::List, OptionValue::List(texts)) => texts.iter().find_map(|text| text_misfit(text)),
        (OptionType::Map, OptionValue::Map(pairs)) => {
            pairs.iter().find_map(|(key, text)| text_misfit(key).or_else(|| text_misfit(text)))
        }
        // TOML has one spelling for an empty list of anything.
        (OptionType::Enum, OptionValue::Text(text)) if option.choices.contains(text) => None,
        (OptionType::Enum, OptionValue::Text(text)) => {
            let near = nearest(text, option.choices.iter().map(String::as_str));
            let guess = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            Some(format!("is one of {}{guess}", option.choices.join(", ")))
        }
        (OptionType::Secret, OptionValue::Text(text)) => secret_misfit(text),
        (expected, _) => Some(format!("is {}, for example {}", describe(expected), example(expected))),
    }
}

fn problem(key: &str, message: String) -> OptionProblem {
    OptionProblem { key: key.to_owned(), message, hint: None }
}

fn find<'a>(known: &[&'a OptionDeclaration], key: &str) -> Option<&'a OptionDeclaration> {
    let named = |option: &&&OptionDeclaration| {
        option.name == key || option.deprecated_names.iter().any(|name| name == key)
    };
    known.iter().find(named).copied()
}

fn unknown(known: &[&OptionDeclaration], key: &str) -> OptionProblem {
    // Manila spells with '_', manifests often with '-': the commonest slip of all.
    let spelt_alike = |name: &&str| name.replace('_', "-") == key.replace('_', "-");
    let names = || known.iter().map(|option| option.name.as_str());
    let near = names().find(spelt_alike).or_else(|| nearest(key, names()));
    OptionProblem {
        hint: near.map(|near| format!("did you mean '{near}'?")),
        ..problem(key, "neither the driver nor Bulkhead has such an option".to_owned())
    }
}

fn convert(option: &OptionDeclaration, value: &toml::Value) -> Result<OptionValue, String> {
    let wrong =
        || format!("is {}, for example {}", describe(option.option_type), example(option.option_type));
    let value = match value {
        toml::Value::String(text) => OptionValue::Text(text.clone()),
        toml::Value::Integer(number) => OptionValue::Integer(*number),
        toml::Value::Float(number) => OptionValue::Float(*number),
        toml::Value::Boolean(value) => OptionValue::Boolean(*value),
        toml::Value::Array(values) => {
            let texts: Option<Vec<String>> =
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
            OptionValue::List(texts.ok_or_else(wrong)?)
        }
        toml::Value::Table(pairs) => {
            let pairs: Option<BTreeMap<String, String>> =
                pairs.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
            OptionValue::Map(pairs.ok_or_else(wrong)?)
        }
        toml::Value::Datetime(_) => return Err(wrong()),
    };
    match misfit(option, &value) {
        Some(reason) => Err(reason),
        None => Ok(value),
    }
}

fn text_misfit(text: &str) -> Option<String> {
    if text.len() > LONGEST_TEXT {
        return Some(format!("has at most {LONGEST_TEXT} bytes"));
    }
    let harmless = |letter: char| letter == '\n' || bulkhead_model::text::is_harmless(letter);
    (!text.chars().all(harmless)).then(|| "holds control characters".to_owned())
}

fn integer_misfit(option: &OptionDeclaration, number: i64) -> Option<String> {
    // Bounds are written as decimal fractions; beyond 2^53 they are as coarse as a fraction is.
    #[expect(clippy::cast_precision_loss, reason = "a bound is no finer than this")]
    let number = number as f64;
    float_misfit(option, number)
}

fn float_misfit(option: &OptionDeclaration, number: f64) -> Option<String> {
    if !number.is_finite() {
        return Some("is a finite number".to_owned());
    }
    if let Some(min) = option.min
        && number < min
    {
        return Some(format!("is at least {min}"));
    }
    if let Some(max) = option.max
        && number > max
    {
        return Some(format!("is at most {max}"));
    }
    None
}

fn secret_misfit(text: &str) -> Option<String> {
    let problem = text.parse::<SecretReference>().err()?;
    Some(format!("does not say where its secret is kept: {problem}"))
}

const fn describe(expected: OptionType) -> &'static str {
    match expected {
        OptionType::String => "a text",
        OptionType::Integer => "a whole number",
        OptionType::Float => "a number",
        OptionType::Boolean => "true or false",
        OptionType::List => "a list of texts",
        OptionType::Map => "a table of texts",
        OptionType::Enum => "one of its choices",
        OptionType::Secret => "a reference to a secret",
    }
}

const fn example(expected: OptionType) -> &'static str {
    match expected {
        OptionType::String | OptionType::Enum => "\"text\"",
        OptionType::Integer => "3",
        OptionType::Float => "1.5",
        OptionType::Boolean => "true",
        OptionType::List => "[\"text\"]",
        OptionType::Map => "{ key = \"text\" }",
        OptionType::Secret => "\"secret://file/etc/bulkhead/password\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<OptionDeclaration> {
        let manifest = crate::manifest::parse(
            r#"
            [driver]
            name = "x"
            vendor = "y"
            version = "1.0.0"
            contract = "0.1"
            dhss = [false]
            protocols = ["NFS"]

            [[option]]
            name = "export-address"
            type = "string"
            required = true
            help = "where clients find the server"
            deprecated-names = ["server"]

            [[option]]
            name = "mode"
            type = "enum"
            choices = ["fast", "slow"]
            help = "how"

            [[option]]
            name = "password"
            type = "secret"
            help = "whose"

            [[option]]
            name = "depth"
            type = "integer"
            min = 1
            max = 8
            help = "how deep"
            "#,
            "driver.toml",
        );
        manifest.expect("a sound manifest").options
    }

    fn refused(text: &str) -> String {
        let given = text.parse().expect("TOML");
        validate(&declared(), &given).expect_err("something is wrong").to_string()
    }

    #[test]
    fn what_was_set_is_kept_under_todays_name_and_defaults_are_left_out() {
        let given = "server = 'a'\ndepth = 3\nnum_shell_tries = 5\nmax_over_subscription_ratio = 2"
            .parse()
            .expect("TOML");
        let declared = declared();
        let values = validate(&declared, &given).expect("all is well");
        assert_eq!(values.get("export-address"), Some(&OptionValue::Text("a".to_owned())));
        assert_eq!(values.get("num_shell_tries"), Some(&OptionValue::Integer(5)));
        assert_eq!(values.len(), 4);
        assert_eq!(deprecated_names(&declared, &given), vec![("server", "export-address")]);
    }

    #[test]
    fn an_unknown_key_brings_a_suggestion() {
        assert!(
            refused("export-address = 'a'\nexport-adress = 'b'").contains("did you mean 'export-address'?")
        );
        assert!(
            refused("export-address = 'a'\nnum-shell-tries = 1").contains("did you mean 'num_shell_tries'?")
        );
    }

    #[test]
    fn a_missing_option_an_outlier_and_a_stranger_are_told_at_once() {
        let told = refused("depth = 9\nmode = 'fats'\nnum_shell_tries = 'x'");
        assert!(told.contains("option 'export-address': must be set"), "{told}");
        assert!(told.contains("option 'depth': is at most 8"), "{told}");
        assert!(told.contains("is one of fast, slow; did you mean 'fast'?"), "{told}");
        assert!(told.contains("option 'num_shell_tries': is a whole number"), "{told}");
    }

    /// Contract D-17: one that is not set is the default, no error.
    #[test]
    fn an_over_subscription_ratio_is_at_least_one() {
        for ratio in ["0", "0.0", "0.9", "-1.0", "nan", "'20'"] {
            let told = refused(&format!("export-address = 'a'\nmax_over_subscription_ratio = {ratio}"));
            assert!(told.contains("option 'max_over_subscription_ratio'"), "{told}");
        }
        for ratio in ["1", "1.0", "20.0"] {
            let given = format!("export-address = 'a'\nmax_over_subscription_ratio = {ratio}");
            assert!(validate(&declared(), &given.parse().expect("TOML")).is_ok(), "{ratio}");
        }
    }

    #[test]
    fn a_secret_is_never_text_and_never_shown() {
        let told = refused("export-address = 'a'\npassword = 'hunter2'");
        assert!(told.contains("secret://file/ABSOLUTE/PATH") && !told.contains("hunter2"), "{told}");
        let given = "export-address = 'a'\npassword = 'secret://credential/nas.admin'".parse().expect("TOML");
        assert!(validate(&declared(), &given).is_ok());
    }

    #[test]
    fn both_names_of_an_option_are_one_too_many() {
        assert!(refused("export-address = 'a'\nserver = 'b'").contains("both are set"));
    }
}
