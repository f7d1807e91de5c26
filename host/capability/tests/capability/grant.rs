use crate::lab::manifest;
use bulkhead_capability::backend::{Backend, GrantError};
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::testing::{TestHost, grant_everything};
use bulkhead_model::ability::Capability;
use bulkhead_model::grant::{Grant, RootGrant};
use bulkhead_model::manifest::{Manifest, RootUse};
use std::collections::BTreeMap;
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn text(error: &dyn Error) -> String {
    let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
    format!("{error}{source}")
}

async fn refused(manifest: Manifest, grant: Grant) -> String {
    let host = TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host");
    let parts = host.parts("lab", manifest, grant).expect("parts");
    text(&Backend::new(parts).expect_err("refused"))
}

async fn refused_roots(roots: &[(&str, &Path)]) -> String {
    let roots: BTreeMap<&str, PathBuf> =
        roots.iter().map(|(name, path)| (*name, path.to_path_buf())).collect();
    refused(manifest(), grant_everything(&manifest(), &roots)).await
}

#[tokio::test]
async fn a_template_with_other_words_is_another_template() {
    let granted = grant_everything(&manifest(), &BTreeMap::new());
    let mut changed = manifest();
    changed.files[0].text.push_str(" *(rw)");
    let digest = changed.files[0].digest().to_string();
    let error = refused(changed, granted).await;
    assert!(error.contains("'export' has changed") && error.contains(&digest), "{error}");
}

#[tokio::test]
async fn a_root_with_another_use_or_other_paths_is_another_root() {
    let directory = tempfile::tempdir().expect("a directory");
    let roots = BTreeMap::from([("exports", directory.path().to_path_buf())]);
    let granted = grant_everything(&manifest(), &roots);
    let changes: [fn(&mut Manifest); 2] = [
        |manifest| manifest.roots[1].root_use = RootUse::State,
        |manifest| manifest.roots[1].paths.push("all".parse().expect("a pattern")),
    ];
    for change in changes {
        let mut changed = manifest();
        assert_eq!(changed.roots[1].name.as_str(), "exports");
        change(&mut changed);
        let line = format!(
            "grant.roots.exports = {{ path = {:?}, pin = \"{}\" }}",
            directory.path().display().to_string(),
            changed.roots[1].digest()
        );
        let error = refused(changed, granted.clone()).await;
        assert!(error.contains("root 'exports' has changed") && error.contains(&line), "{error}");
    }
}

#[tokio::test]
async fn a_name_the_manifest_does_not_know_is_refused_with_what_was_meant() {
    let mut grant = Grant::default();
    let granted = RootGrant { path: PathBuf::from("/srv"), pin: manifest().roots[0].digest() };
    grant.roots.insert("share".parse().expect("a label"), granted);
    let error = refused(manifest(), grant).await;
    assert!(
        error.contains("grant.roots names 'share'") && error.contains("did you mean 'shares'?"),
        "{error}"
    );
    let mut grant = Grant::default();
    grant.templates.insert("nonsense".parse().expect("a label"), manifest().files[0].digest());
    let error = refused(manifest(), grant).await;
    assert!(error.contains("grant.templates names 'nonsense'") && !error.contains("did you mean"), "{error}");
    let mut grant = Grant::default();
    grant.programs.insert("sh".to_owned(), PathBuf::from("/bin/sh"));
    assert!(refused(manifest(), grant).await.contains("grant.programs names 'sh'"));
}

#[tokio::test]
async fn a_program_is_an_absolute_file_and_never_searched() {
    let mut with_command = manifest();
    let command = serde_json::json!({
        "name": "look", "reason": "to look", "effect": "read", "repeat": "safe", "program": "stat", "args": [],
    });
    with_command.commands.push(serde_json::from_value(command).expect("a template"));
    for path in ["stat", "./stat", "/usr/bin/../bin/stat", ""] {
        let mut grant = Grant::default();
        grant.programs.insert("stat".to_owned(), PathBuf::from(path));
        let error = refused(with_command.clone(), grant).await;
        assert!(error.contains("grant.programs.stat"), "{path:?}: {error}");
    }
}

#[tokio::test]
async fn no_grant_exceeds_the_ceiling() {
    let host = TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host");
    let mut parts =
        host.parts("lab", manifest(), grant_everything(&manifest(), &BTreeMap::new())).expect("parts");
    parts.ceiling.capabilities.remove(&Capability::Execute);
    let error = Backend::new(parts).expect_err("refused");
    assert!(matches!(error, GrantError::AboveCeiling(Capability::Execute)), "{error}");
}

#[tokio::test]
async fn a_root_is_an_absolute_directory_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("inner/most");
    std::fs::create_dir_all(&inner).expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let spaced = directory.path().join("a b");
    std::fs::create_dir(&spaced).expect("a directory");
    for (path, reason) in [
        (Path::new("/"), "'/' is no root"),
        (Path::new("//"), "'/' is no root"),
        (Path::new("srv"), "absolute path"),
        (Path::new("/srv/../etc"), "absolute path"),
        (&spaced, "absolute path"),
        (&file, "cannot be opened"),
        (&directory.path().join("missing"), "cannot be opened"),
    ] {
        let error = refused_roots(&[("shares", path)]).await;
        assert!(error.contains(reason), "{path:?}: {error}");
    }
    for (one, other) in [(directory.path(), inner.as_path()), (&inner, directory.path()), (&inner, &inner)] {
        let error = refused_roots(&[("shares", one), ("state", other)]).await;
        assert!(error.contains("lies inside root"), "{error}");
    }
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&inner, &link).expect("a link");
    let error = refused_roots(&[("shares", &inner), ("state", &link)]).await;
    assert!(error.contains("same directory"), "a second name for a root is seen through: {error}");
}

#[tokio::test]
async fn what_a_privileged_program_reads_is_not_writable_by_others() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let error = refused_roots(&[("exports", directory.path())]).await;
    assert!(error.contains("chmod go-w"), "{error}");
}
