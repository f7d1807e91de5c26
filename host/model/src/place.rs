//! Where a backend's commands, files, services and jobs are.

use crate::id::{InvalidId, Label};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The one place of a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// This machine.
    #[default]
    Local,
    /// A machine reached over SSH, with this host's helper on it: `ssh:TARGET`.
    Ssh(Label),
    /// An array reached over SSH, with a command line of its own: `ssh-plain:TARGET`.
    SshPlain(Label),
}

impl Place {
    /// Whether it is this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        *self == Self::Local
    }
}

impl FromStr for Place {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidId::new(text, "place ('local', 'ssh:TARGET' or 'ssh-plain:TARGET')");
        match text.split_once(':') {
            None if text == "local" => Ok(Self::Local),
            Some(("ssh", target)) => target.parse().map(Self::Ssh).map_err(|_| invalid()),
            Some(("ssh-plain", target)) => target.parse().map(Self::SshPlain).map_err(|_| invalid()),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => formatter.write_str("local"),
            Self::Ssh(target) => write!(formatter, "ssh:{target}"),
            Self::SshPlain(target) => write!(formatter, "ssh-plain:{target}"),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for text in ["local", "ssh:array", "ssh-plain:array-2"] {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "ssh", "ssh:", "ssh:a b", "telnet:array", "local:x"] {
            let error = text.parse::<Place>().map_err(|error| error.to_string()).expect_err("no place");
            assert!(error.contains("ssh:TARGET"), "{error}");
        }
        assert!(Place::default().is_local());
    }
}
