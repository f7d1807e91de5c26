use crate::lab::Lab;
use bulkhead_capability::config::ConfigValue;
use bulkhead_capability::secret::{Environment, Redactor, SecretSource};
use bulkhead_model::manifest::OptionValue;
use bulkhead_model::secret::SecretReference;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";

/// A source whose environment has these variables.
fn source(variables: &[(&str, &Path)]) -> SecretSource {
    let known: BTreeMap<String, OsString> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_os_str().to_owned())).collect();
    let environment: Environment = Arc::new(move |name| known.get(name).cloned());
    SecretSource::new(Redactor::default(), environment)
}

/// A file with this text and mode.
fn file(directory: &TempDir, text: &[u8], mode: u32) -> SecretReference {
    let path = directory.path().join("password");
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
    reference(&format!("secret://file{}", path.display()))
}

fn reference(text: &str) -> SecretReference {
    text.parse().expect("a reference")
}

/// What is told, with its causes.
fn told(source: &SecretSource, reference: &SecretReference) -> String {
    let error = source.resolve(reference).expect_err("no secret");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[test]
fn the_newline_at_the_end_of_a_file_is_no_part_of_its_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    for (text, expected) in [
        ("correct horse", "correct horse"),
        ("correct horse\n", "correct horse"),
        ("correct horse\r\n", "correct horse"),
        ("correct horse\n\n", "correct horse\n"),
        (" correct horse ", " correct horse "),
    ] {
        let reference = file(&directory, text.as_bytes(), 0o600);
        let secret = source(&[]).resolve(&reference).expect("a secret");
        assert_eq!(secret.expose_text(), Some(expected), "{text:?}");
    }
}

/// Case T-O1.
#[test]
fn a_file_that_others_may_read_or_change_is_refused_with_what_to_type() {
    let directory = tempfile::tempdir().expect("a directory");
    for mode in [0o640, 0o604, 0o620, 0o602, 0o666, 0o610] {
        let reference = file(&directory, PASSWORD.as_bytes(), mode);
        let told = told(&source(&[]), &reference);
        let fix = format!("chmod 0600 {}", directory.path().join("password").display());
        assert!(told.contains(&fix) && !told.contains("horse"), "{mode:o}: {told}");
    }
    for mode in [0o600, 0o400] {
        let reference = file(&directory, PASSWORD.as_bytes(), mode);
        assert!(source(&[]).resolve(&reference).is_ok(), "{mode:o}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_holds_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    file(&directory, PASSWORD.as_bytes(), 0o600);
    symlink(at("password"), at("link")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::from_raw_mode(0o600))
        .expect("a pipe");
    std::fs::create_dir(at("folder")).expect("a directory");
    for (name, what) in [
        ("link", "a symbolic link"),
        ("pipe", "a pipe"),
        ("folder", "a directory"),
        ("nothing", "is not there"),
    ] {
        let told = told(&source(&[]), &reference(&format!("secret://file{}", at(name).display())));
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn a_text_that_is_empty_short_or_endless_is_refused_unseen() {
    let directory = tempfile::tempdir().expect("a directory");
    for (text, what) in [
        (b"\n".to_vec(), "is empty"),
        (b"hunt2\n".to_vec(), "fewer than 6 bytes"),
        (vec![b'a'; 70_000], "more than 65536 bytes"),
        (vec![b'a'; 10 << 20], "more than 65536 bytes"),
    ] {
        let told = told(&source(&[]), &file(&directory, &text, 0o600));
        assert!(told.contains(what) && !told.contains("hunt2") && !told.contains("aaaa"), "{told}");
    }
    let longest = file(&directory, &[vec![b'a'; 65_536], b"\n".to_vec()].concat(), 0o600);
    assert!(source(&[]).resolve(&longest).is_ok(), "the newline does not count");
}

/// With `User=` systemd keeps a credential as root's and lets the service read it through an access list, which the mode shows as its group.
#[test]
fn a_credential_that_systemd_shares_with_the_services_user_is_read_and_one_that_others_may_change_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let own = source(&[("CREDENTIALS_DIRECTORY", directory.path())]);
    let credential = reference("secret://credential/password");
    let by_path = file(&directory, PASSWORD.as_bytes(), 0o440);
    assert_eq!(own.resolve(&credential).is_ok(), rustix::process::geteuid().is_root());
    assert!(own.resolve(&by_path).is_err());
    for mode in [0o460, 0o444, 0o450] {
        file(&directory, PASSWORD.as_bytes(), mode);
        assert!(own.resolve(&credential).is_err(), "{mode:o}");
    }
}

#[test]
fn variables_and_credentials_are_found_where_the_environment_says() {
    let directory = tempfile::tempdir().expect("a directory");
    file(&directory, PASSWORD.as_bytes(), 0o400);
    let own = source(&[("ARRAY", Path::new(PASSWORD)), ("CREDENTIALS_DIRECTORY", directory.path())]);
    for text in ["secret://env/ARRAY", "secret://credential/password"] {
        let secret = own.resolve(&reference(text)).expect("a secret");
        assert_eq!(secret.expose_text(), Some(PASSWORD), "{text}");
    }
    assert!(told(&own, &reference("secret://env/OTHER")).contains("no variable of that name"));
    assert!(told(&own, &reference("secret://credential/other")).contains("is not there"));
    assert!(told(&source(&[]), &reference("secret://credential/password")).contains("LoadCredential="));
    let relative = source(&[("CREDENTIALS_DIRECTORY", Path::new("etc"))]);
    assert!(told(&relative, &reference("secret://credential/password")).contains("LoadCredential="));
}

/// A lab whose option `password` is set, and its secret known.
async fn lab() -> Lab {
    Lab::with(|parts| {
        let written = OptionValue::Text("secret://env/ARRAY".to_owned());
        parts.options.insert("password".to_owned(), written);
        let source = source(&[("ARRAY", Path::new(PASSWORD))]);
        parts.secrets = source.of_options(&parts.manifest.options, &parts.options).expect("its secrets");
    })
    .await
}

#[tokio::test]
async fn a_driver_gets_the_name_of_a_secret_and_the_host_its_text() {
    let lab = lab().await;
    let value = lab.call().config().get("password").await.expect("declared");
    assert_eq!(value, Some(ConfigValue::Secret("password".to_owned())));
    let secret = lab.backend.secret_option("password").expect("set");
    assert_eq!(secret.expose_text(), Some(PASSWORD));
    assert!(lab.backend.secret_option("greeting").is_none());
    assert!(!format!("{:?}", lab.backend).contains("horse"), "a debug print of everything");
}

#[tokio::test]
async fn a_file_that_a_command_wrote_a_secret_into_is_read_without_it() {
    let lab = lab().await;
    let call = lab.call();
    let notes = crate::lab::state("{share}.json");
    call.files().write(&notes, b"quota = 7").await.expect("written");
    assert_eq!(call.files().read(&notes).await, Ok(b"quota = 7".to_vec()));
    std::fs::write(lab.in_root("state", "{share}.json"), format!("login = {PASSWORD}")).expect("written");
    assert_eq!(call.files().read(&notes).await, Ok(b"login = [secret]".to_vec()));
}

/// Case T-S1.
#[tokio::test]
async fn neither_the_ledger_nor_an_error_tells_a_secret_that_a_driver_says() {
    let lab = lab().await;
    let call = lab.call();
    let error = call.config().get(PASSWORD).await.expect_err("undeclared");
    assert!(!error.message.contains("horse"), "{error}");
    let error = call.files().status(&crate::lab::data(PASSWORD)).await.expect_err("undeclared");
    assert!(!error.message.contains("horse"), "{error}");
    let effects = format!("{:?}", lab.effects().await);
    assert!(effects.contains("[secret]") && !effects.contains("horse"), "{effects}");
}
