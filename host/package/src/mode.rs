//! Whether a backend makes a server for each tenant network: the option `driver_handles_share_servers`, held against the manifest's `dhss`.

use crate::options::{OptionProblem, OptionsError};
use bulkhead_model::manifest::OptionValue;
use std::collections::BTreeMap;

const OPTION: &str = "driver_handles_share_servers";

/// The mode of a backend: true with share servers. `dhss` are the modes of its driver, `options` what [`crate::options::validate`] let
/// through (Manila: `_verify_share_server_handling`).
///
/// Where Manila wants the option set we take what is left to choose: without it a driver that can do both makes no share servers.
///
/// # Errors
/// A mode that the driver does not have.
pub fn share_servers(dhss: &[bool], options: &BTreeMap<String, OptionValue>) -> Result<bool, OptionsError> {
    let wanted = match options.get(OPTION) {
        Some(OptionValue::Boolean(wanted)) => *wanted,
        _ => !dhss.contains(&false),
    };
    if dhss.contains(&wanted) {
        return Ok(wanted);
    }
    let problem = OptionProblem {
        key: OPTION.to_owned(),
        message: format!("this driver works only {} share servers", if wanted { "without" } else { "with" }),
        hint: Some(format!("{OPTION} = {}", !wanted)),
    };
    Err(OptionsError { problems: vec![problem] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::validate;

    /// The mode of a backend with this option, of a driver with these modes.
    fn mode(option: &str, dhss: &[bool]) -> Result<bool, OptionsError> {
        let given = if option.is_empty() { String::new() } else { format!("{OPTION} = {option}") };
        let options = validate(&[], &given.parse().expect("TOML"))?;
        share_servers(dhss, &options)
    }

    /// Contract D-02, D-11.
    #[test]
    fn a_mode_that_the_driver_has_is_the_backends() {
        for dhss in [&[true][..], &[true, false], &[false, true]] {
            assert_eq!(mode("true", dhss), Ok(true), "{dhss:?}");
        }
        for dhss in [&[false][..], &[true, false], &[false, true]] {
            assert_eq!(mode("false", dhss), Ok(false), "{dhss:?}");
        }
    }

    /// Contract D-12.
    #[test]
    fn a_mode_that_the_driver_has_not_or_that_is_no_boolean_is_refused() {
        for (option, dhss) in [
            ("false", &[true][..]),
            ("true", &[false]),
            ("\"True\"", &[true]),
            ("\"False\"", &[false]),
            ("[]", &[true]),
            ("true", &[]),
            ("false", &[]),
        ] {
            assert!(mode(option, dhss).is_err(), "{option} {dhss:?}");
        }
        let told = mode("true", &[false]).expect_err("without alone").to_string();
        assert!(told.contains("only without share servers"), "{told}");
        assert!(told.contains("driver_handles_share_servers = false"), "{told}");
        let manifest = crate::fixture::MANIFEST;
        for dhss in ["[]", "['True']", "['False']", "[true, true]", "true"] {
            let changed = manifest.replace("dhss = [false]", &format!("dhss = {dhss}"));
            assert!(crate::manifest::parse(&changed, "driver.toml").is_err(), "{dhss}");
        }
    }

    #[test]
    fn an_option_that_is_not_set_leaves_what_there_is_to_choose() {
        assert_eq!((mode("", &[true]), mode("", &[false])), (Ok(true), Ok(false)));
        assert_eq!(mode("", &[true, false]), Ok(false));
    }
}
