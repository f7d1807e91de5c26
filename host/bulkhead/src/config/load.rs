//! Reading the configuration: the file, then the directory of backends.

use super::{BackendConfiguration, Configuration, authentication, trust};
use bulkhead_ledger::HOST_CHAIN;
use bulkhead_model::id::BackendName;
use bulkhead_model::network::{AllocationLabel, InvalidNetwork};
use bulkhead_package::toml_file::{Finding, Problem, Step, TomlFile};
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
    /// A file of the directory of backends is not named like a backend.
    #[error("{}: the file's name is the backend's: 1 to 63 of letters, digits, '-', '_'; 'host' is the host's own", path.display())]
    BackendName {
        /// Which.
        path: PathBuf,
    },
    /// A backend cannot be written down for the records.
    #[error("{}: the backend cannot be recorded", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        #[source]
        source: toml::ser::Error,
    },
    /// A backend is there twice.
    #[error("the backend {name} stands both in {} and in {}; remove one of them", file.display(), path.display())]
    Duplicate {
        /// Which.
        name: BackendName,
        /// The main file.
        file: PathBuf,
        /// The backend's own file.
        path: PathBuf,
    },
}

/// Read and check a configuration with all its backends. Relative paths in it are relative to the file they stand in, and absolute
/// afterwards: the helper works elsewhere.
pub(crate) fn load(file: &Path) -> Result<Configuration, ConfigurationError> {
    let mut configuration = load_main(file)?;
    let files = configuration.backend_directory.as_deref().map(backend_files).transpose()?;
    for path in files.unwrap_or_default() {
        let name = backend_name(&path)?;
        let backend = parse_backend(&read(&path)?, &path)?;
        if configuration.backends.insert(name.clone(), backend).is_some() {
            return Err(ConfigurationError::Duplicate { name, file: configuration.file, path });
        }
    }
    Ok(configuration)
}

/// The same without the directory of backends.
pub(crate) fn load_main(file: &Path) -> Result<Configuration, ConfigurationError> {
    let mut configuration: Configuration = parse(&read(file)?, file, check)?;
    configuration.file = std::path::absolute(file)
        .map_err(|source| ConfigurationError::Read { path: file.to_owned(), source })?;
    let folder = configuration.file.parent().unwrap_or(Path::new("/"));
    configuration.state_directory = folder.join(&configuration.state_directory);
    configuration.helper = configuration.helper.map(|helper| folder.join(helper));
    configuration.backend_directory = configuration.backend_directory.map(|directory| folder.join(directory));
    for backend in configuration.backends.values_mut() {
        backend.driver = folder.join(&backend.driver);
    }
    Ok(configuration)
}

/// The files of backends in a directory, in order.
pub(crate) fn backend_files(directory: &Path) -> Result<Vec<PathBuf>, ConfigurationError> {
    let unreadable = |source| ConfigurationError::Read { path: directory.to_owned(), source };
    trust::check_directory(directory).map_err(unreadable)?;
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The backend that a file of the directory is for.
pub(crate) fn backend_name(path: &Path) -> Result<BackendName, ConfigurationError> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
    let name = name.filter(|name: &BackendName| name.as_str() != HOST_CHAIN);
    name.ok_or_else(|| ConfigurationError::BackendName { path: path.to_owned() })
}

/// A backend as the text of its file, which stands at `path`, says.
pub(crate) fn parse_backend(text: &str, path: &Path) -> Result<BackendConfiguration, ConfigurationError> {
    let mut backend: BackendConfiguration = parse(text, path, |backend| check_networks(&[], backend))?;
    backend.driver = path.parent().unwrap_or(Path::new("/")).join(&backend.driver);
    Ok(backend)
}

fn read(path: &Path) -> Result<String, ConfigurationError> {
    let text = trust::open(path).and_then(io::read_to_string);
    text.map_err(|source| ConfigurationError::Read { path: path.to_owned(), source })
}

fn parse<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    check: impl Fn(&T) -> Vec<Finding>,
) -> Result<T, ConfigurationError> {
    let name = path.display().to_string();
    let file = TomlFile::parse(text, &name).map_err(ConfigurationError::Problems)?;
    let value = file.deserialize().map_err(|problem| ConfigurationError::Problems(vec![*problem]))?;
    let problems: Vec<_> = check(&value).into_iter().map(|finding| file.place(finding)).collect();
    if problems.is_empty() { Ok(value) } else { Err(ConfigurationError::Problems(problems)) }
}

/// What the shape alone does not say.
fn check(configuration: &Configuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, target) in &configuration.ssh {
        findings.extend(target.check(name.as_str()));
    }
    if configuration.tokens.is_empty() && !configuration.listen.ip().is_loopback() {
        let finding = Finding::new(
            vec![Step::from("listen")],
            format!("{} can be reached by others, so tenants need tokens", configuration.listen),
        );
        findings.push(finding.hint("add a [[token]] with sha256, project and user, or listen on 127.0.0.1"));
    }
    if let Some((name, _)) = configuration.backends.iter().find(|(name, _)| name.as_str() == HOST_CHAIN) {
        let finding = Finding::new(
            vec![Step::from("backend"), Step::from(name.as_str())],
            "this name is the host's own in the ledger",
        );
        findings.push(finding.hint("choose another name"));
    }
    for (name, backend) in &configuration.backends {
        findings.extend(check_networks(&[Step::from("backend"), Step::from(name.as_str())], backend));
    }
    findings.extend(authentication::check(&configuration.tokens));
    findings
}

/// What is wrong with the networks of the backend that stands at `place`.
fn check_networks(place: &[Step], backend: &BackendConfiguration) -> Vec<Finding> {
    let networks = &backend.grant.networks;
    let finding = |label: AllocationLabel, position: usize, invalid: InvalidNetwork| {
        let mut path = place.to_vec();
        path.extend(["grant", "networks", label.as_str()].map(Step::from));
        path.extend([Step::from(position), Step::from(invalid.key)]);
        Finding::new(path, invalid.reason).hint(invalid.advice)
    };
    let each = AllocationLabel::ALL.iter().filter_map(|label| {
        let (position, invalid) = networks.networks(*label).err()?;
        Some(finding(*label, position, invalid))
    });
    let together = networks.check_plugs().err().map(|(label, at, invalid)| finding(label, at, invalid));
    each.chain(together).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn loaded(files: &[(&str, &str)]) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("backends")).expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        load(&folder.path().join("bulkhead.toml"))
            .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
    }

    #[test]
    fn an_empty_file_listens_on_loopback_without_backends() {
        let configuration = loaded(&[("bulkhead.toml", "")]).expect("sound");
        assert!(configuration.listen.ip().is_loopback());
        assert!(configuration.backends.is_empty());
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_right_one() {
        let error = loaded(&[("bulkhead.toml", "\nlisten = '127.0.0.1:1'\nstate-directroy = 'x'\n")])
            .expect_err("unknown");
        assert!(
            error.contains("DIR/bulkhead.toml:3:1") && error.contains("did you mean 'state-directory'?"),
            "{error}"
        );
    }

    #[test]
    fn intervals_are_seconds_with_bounds_and_usage_is_gathered_by_request_only() {
        let intervals = loaded(&[("bulkhead.toml", "")]).expect("sound").intervals;
        let seconds = Duration::from_secs;
        assert_eq!((intervals.statistics(), intervals.reconcile()), (seconds(60), seconds(300)));
        assert_eq!(intervals.usage(), None);
        let text = "[intervals]\nusage-seconds = 300\nreconcile-seconds = 5\n";
        let intervals = loaded(&[("bulkhead.toml", text)]).expect("sound").intervals;
        assert_eq!((intervals.reconcile(), intervals.usage()), (seconds(5), Some(seconds(300))));
        let at_once = loaded(&[("bulkhead.toml", "[intervals]\nunused-share-server-seconds = 0\n")]);
        assert_eq!(at_once.expect("sound").intervals.unused_share_server(), Duration::ZERO);
        for (bad, bounds) in [
            ("statistics-seconds = 0", "from 1 to 86400"),
            ("replica-seconds = 86401", "from 1 to 86400"),
            ("usage-seconds = 0", "from 1 to 86400"),
            ("hook-seconds = 0", "from 1 to 86400"),
            ("share-status-seconds = 0", "from 1 to 86400"),
            ("migration-seconds = 0", "from 1 to 86400"),
            ("reconcile-seconds = '60'", "from 1 to 86400, without quotes"),
            ("reconcile-seconds = 1.5", "a whole number of seconds from 1 to 86400"),
            ("unused-share-server-seconds = 99999999999999", "from 0 to 86400"),
            ("unused-share-server-seconds = -1", "from 0 to 86400"),
        ] {
            let error = loaded(&[("bulkhead.toml", &format!("[intervals]\n{bad}\n"))]).expect_err(bad);
            let key = format!("intervals.{}", bad.split(' ').next().unwrap_or_default());
            let is_told = ["DIR/bulkhead.toml:2", &key, bounds].iter().all(|words| error.contains(words));
            assert!(is_told && !error.contains("u64"), "{bad}: {error}");
        }
        assert!(loaded(&[("bulkhead.toml", "[intervals]\nreconcile = 5\n")]).is_err());
    }

    #[test]
    fn an_address_that_others_reach_wants_tokens() {
        let error = loaded(&[("bulkhead.toml", "listen = '0.0.0.0:8786'\n")]).expect_err("no tokens");
        assert!(error.contains("tenants need tokens"), "{error}");
        let token = "[[token]]\nsha256 = 'abc'\nproject = 'p'\nuser = 'u'\n";
        let error = loaded(&[("bulkhead.toml", &format!("listen = '0.0.0.0:8786'\n{token}"))])
            .expect_err("no digest");
        assert!(error.contains("token[0].sha256") && error.contains("sha256sum"), "{error}");
    }

    #[test]
    fn a_token_that_stands_for_two_is_refused_with_both_of_their_names() {
        let token = |sha256: &str, project: &str, user: &str| {
            format!("[[token]]\nsha256 = '{sha256}'\nproject = '{project}'\nuser = '{user}'\n")
        };
        let digest = "ab".repeat(32);
        let two = token(&digest, "blue", "alice") + &token(&"cd".repeat(32), "blue", "alice");
        loaded(&[("bulkhead.toml", &two)]).expect("two tokens of one user are sound");
        for again in [digest.clone(), digest.to_uppercase()] {
            let text = two.clone() + &token(&again, "red", "bob") + "role = 'operator'\n";
            let error = loaded(&[("bulkhead.toml", &text)]).expect_err("one token for two");
            for words in ["token[2].sha256", "user bob of project red", "user alice of project blue"] {
                assert!(error.contains(words), "{words}: {error}");
            }
        }
    }

    #[test]
    fn a_network_that_is_none_is_told_with_its_key_and_what_to_write() {
        let network = |lines: &str| format!("driver = 'a.wasm'\n[[grant.networks.user]]\n{lines}\n");
        let directory = "backend-directory = 'backends'\n";
        let load = |lines: &str| {
            let text = network(lines);
            loaded(&[("bulkhead.toml", directory), ("backends/a.toml", text.as_str())])
        };
        load("gateway = '10.0.0.1'\nmask = 24").expect("sound");
        for (lines, place, words) in [
            ("mask = 24\ngateway = '2001:db8::0001'", "a.toml:4", "write \"2001:db8::1\""),
            ("gateway = '10.0.0.1'\nmask = 33", "a.toml:4", "from 1 to 32"),
            ("gateway = '10.0.0.1'\nmask = 24\nnetwork-type = 'Vlan'", "a.toml:5", "did you mean 'vlan'?"),
            (
                "gateway = '10.0.0.1'\nmask = 24\nallowed-ip-ranges = ['10.0.0.3-10.0.0.9', '10.0.0.7']",
                "a.toml:5",
                "write \"10.0.0.3-10.0.0.9\"",
            ),
            ("gateway = '10.0.0.1'", "a.toml:2", "mask"),
            ("gateway = '10.0.0.1'\nmask = 24\nmtuu = 9000", "a.toml:5", "did you mean 'mtu'?"),
            ("gateway = '10.0.0.1'\nmask = 24\nbridge = 'br/0'", "a.toml:5", "no name of a network device"),
            (
                "gateway = '10.0.0.1'\nmask = 24\nbridge = 'br0'\n[[grant.networks.admin]]\ngateway = '10.1.0.1'\nmask = 24\n\
                 network-type = 'vlan'\nsegmentation-id = 7\nbridge = 'br0'",
                "a.toml:11",
                "give each segment a bridge of its own",
            ),
        ] {
            let error = load(lines).expect_err(lines);
            assert!(error.contains(place) && error.contains(words), "{lines}: {error}");
        }
        let main = network("gateway = 'x'\nmask = 24")
            .replace("driver", "[backend.b]\ndriver")
            .replace("grant", "backend.b.grant");
        let error = loaded(&[("bulkhead.toml", &main)]).expect_err("no address");
        assert!(error.contains("bulkhead.toml:4") && error.contains("no IPv4 or IPv6 address"), "{error}");
    }

    #[test]
    fn backends_come_from_the_file_and_from_the_directory() {
        let main = "backend-directory = 'backends'\n[backend.a]\ndriver = 'a.wasm'\n";
        let configuration =
            loaded(&[("bulkhead.toml", main), ("backends/b.toml", "driver = 'b.wasm'\n")]).expect("sound");
        assert_eq!(configuration.backends.keys().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
        let error = loaded(&[("bulkhead.toml", main), ("backends/a.toml", "driver = 'b.wasm'\n")])
            .expect_err("twice");
        assert!(error.contains("stands both in"), "{error}");
        let error = loaded(&[("bulkhead.toml", main), ("backends/a b.toml", "driver = 'b.wasm'\n")])
            .expect_err("no name");
        assert!(error.contains("the file's name is the backend's"), "{error}");
    }

    #[test]
    fn a_target_over_ssh_is_checked_where_it_stands() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        let with = |lines: &str| {
            let text = format!("[ssh.nas]\nhost = '10.0.0.5'\nuser = 'u'\n{lines}\n");
            loaded(&[("bulkhead.toml", &text)])
        };
        let keys = format!("host-keys = ['{key} root@nas']");
        let sound = with(&format!("{keys}\nkey = 'secret://file/k'")).expect("sound");
        let target = sound.ssh.values().next().expect("a target");
        assert_eq!((target.port, target.min_connections, target.max_connections), (22, 1, 10));
        assert_eq!(target.helper, "/usr/sbin/bulkhead-helper");
        for (lines, expected) in [
            ("host-keys = ['nas ssh-ed25519 AAAA']", "ssh.nas.host-keys"),
            ("host-keys = []\nkey = 'hunter2'", "secret://"),
            ("host-keys = []\nhelper = 'bulkhead-helper'", "ssh.nas.helper"),
            ("host-keys = []\nconnect-timeout-seconds = 0", "from 1 to 3600"),
            ("host-keys = []\npager = '--More--'", "ssh.nas.prompt"),
            ("host-keys = []\nport = 0", "from 1 to 65535"),
            ("host-keys = []\nhost-key = 'x'", "did you mean 'host-keys'?"),
        ] {
            let error = with(lines).expect_err(lines);
            assert!(error.contains(expected) && !error.contains("hunter2"), "{lines}: {error}");
        }
        for (host, user, key) in [
            ("", "root", "ssh.nas.host"),
            ("-oProxyCommand=x", "root", "ssh.nas.host"),
            ("no such host!", "root", "ssh.nas.host"),
            ("fe80::1%eth0", "", "ssh.nas.user"),
            ("nas.example.org", "root\\n", "ssh.nas.user"),
        ] {
            let text = format!("[ssh.nas]\nhost = \"{host}\"\nuser = \"{user}\"\nhost-keys = []\n");
            let error = loaded(&[("bulkhead.toml", &text)]).expect_err(&text);
            assert!(error.contains(key), "{text}: {error}");
        }
        let error = loaded(&[("bulkhead.toml", "[backend.a]\ndriver = 'a.wasm'\nplace = 'telnet:nas'\n")]);
        assert!(error.expect_err("no place").contains("ssh:TARGET"));
    }
}
