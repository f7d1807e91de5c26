//! `[[option]]`.

use super::{plain_text, reason, steps};
use crate::options::misfit;
use crate::toml_file::Finding;
use bulkhead_model::base_option::share_opts;
use bulkhead_model::manifest::{Manifest, OptionDeclaration, OptionType, SECURITY_SERVICE};
use std::collections::BTreeMap;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    names(manifest, findings);
    for (place, option) in manifest.options.iter().enumerate() {
        reason(&option.help, steps!("option", place, "help"), findings);
        bounds(option, place, findings);
        choices(option, place, findings);
        default(option, place, findings);
    }
}

fn names(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for inherited in share_opts() {
        seen.insert(inherited.name, "every backend has an option of this name already");
    }
    for (place, option) in manifest.options.iter().enumerate() {
        let first = std::iter::once((&option.name, steps!("option", place, "name")));
        let old = option
            .deprecated_names
            .iter()
            .enumerate()
            .map(|(number, name)| (name, steps!("option", place, "deprecated-names", number)));
        for (name, path) in first.chain(old) {
            let sound = name.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && name.len() <= 63
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
            if !sound {
                let message =
                    "an option's name is 1 to 63 of letters, digits, '_', '-', beginning with a letter";
                findings.push(Finding::new(path.clone(), message));
            }
            if let Some(reason) = seen.insert(name.clone(), "an option of this name is declared above") {
                findings.push(Finding::new(path, reason));
            }
        }
    }
}

fn bounds(option: &OptionDeclaration, place: usize, findings: &mut Vec<Finding>) {
    let numeric = matches!(option.option_type, OptionType::Integer | OptionType::Float);
    for (key, bound) in [("min", option.min), ("max", option.max)] {
        if bound.is_some() && !numeric {
            findings.push(Finding::new(steps!("option", place, key), "only numbers have bounds"));
        }
        if bound.is_some_and(|bound| !bound.is_finite()) {
            findings.push(Finding::new(steps!("option", place, key), "a bound is a finite number"));
        }
    }
    if let (Some(min), Some(max)) = (option.min, option.max)
        && min > max
    {
        findings.push(Finding::new(steps!("option", place, "min"), format!("{min} is more than max, {max}")));
    }
}

fn choices(option: &OptionDeclaration, place: usize, findings: &mut Vec<Finding>) {
    let is_enum = option.option_type == OptionType::Enum;
    if is_enum && option.choices.is_empty() {
        findings.push(
            Finding::new(steps!("option", place, "type"), "an enum needs `choices`")
                .hint("choices = [\"…\"]"),
        );
    }
    if !is_enum && !option.choices.is_empty() {
        findings.push(Finding::new(steps!("option", place, "choices"), "only an enum has choices"));
    }
    for (number, choice) in option.choices.iter().enumerate() {
        plain_text(choice, steps!("option", place, "choices", number), findings);
    }
}

fn default(option: &OptionDeclaration, place: usize, findings: &mut Vec<Finding>) {
    let is_secret = option.option_type == OptionType::Secret;
    if option.peer && is_secret {
        findings.push(Finding::new(steps!("option", place, "peer"), "a peer never reads a secret"));
    }
    if is_secret && option.name == SECURITY_SERVICE {
        findings.push(super::secret::taken(steps!("option", place, "name")));
    }
    let Some(value) = &option.default else { return };
    let path = steps!("option", place, "default");
    if is_secret {
        findings
            .push(Finding::new(path, "a secret has no default: it would stand in every copy of the driver"));
    } else if option.required {
        findings.push(Finding::new(path, "a required option has no default"));
    } else if let Some(reason) = misfit(option, value) {
        findings.push(Finding::new(path, reason));
    }
}
