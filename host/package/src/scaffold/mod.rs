//! `driver new`: a driver that builds and passes its own tests, with the SDK and the contract of this very release beside it.
//!
//! Everything comes out of the binary: a vendor needs nothing else but crates.io.

use crate::embedded::{SDK, TEMPLATE, TEMPLATE_REST, TEMPLATE_SSH};
use bulkhead_model::id::DriverName;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The word in the template that stands for the driver's name.
const NAME: &str = "driver-name";
/// The word in the template's code that stands for the driver's type.
const TYPE: &str = "Sample";
/// Where the SDK is unpacked, below the driver's folder.
const SDK_FOLDER: &str = "bulkhead-sdk";

/// What a new driver begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pattern {
    /// Shares as directories.
    #[default]
    Directories,
    /// Shares as volumes of an array that is managed over HTTPS.
    Rest,
    /// Shares as volumes of an array that is managed by its own command line over SSH.
    Ssh,
}

impl Pattern {
    const fn template(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Directories => TEMPLATE,
            Self::Rest => TEMPLATE_REST,
            Self::Ssh => TEMPLATE_SSH,
        }
    }
}

/// Why no driver was made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name cannot be a crate's name.
    #[error(
        "'{name}' cannot be the name of a Rust crate\nhint: use lower-case letters, digits, '-' and '_', beginning with a letter"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Something is there already.
    #[error("{path} is there already\nhint: choose another name, or remove it first; nothing was changed")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The files of a new driver: paths below its folder, and their texts, in order.
///
/// # Errors
/// The name cannot be a crate's name.
pub fn files(name: &DriverName, pattern: Pattern) -> Result<Vec<(String, String)>, ScaffoldError> {
    let type_name = type_name(name)?;
    let own = pattern.template().iter().map(|(path, text)| {
        let text = text.replace(NAME, name.as_str());
        // In prose "Sample" means what it says; in code it is the type.
        let text = if path.ends_with(".rs") { rename_type(&text, &type_name) } else { text };
        ((*path).to_owned(), text)
    });
    let sdk = SDK.iter().map(|(path, text)| (format!("{SDK_FOLDER}/{path}"), (*text).to_owned()));
    let ignored = std::iter::once((".gitignore".to_owned(), "/target\n/*.wasm\n".to_owned()));
    let mut files: Vec<_> = own.chain(sdk).chain(ignored).collect();
    files.sort();
    Ok(files)
}

/// Write a new driver into `folder`, which must not be there yet.
///
/// # Errors
/// The name cannot be a crate's name, the folder is there, or a file cannot be written.
pub fn unpack(name: &DriverName, pattern: Pattern, folder: &Path) -> Result<usize, ScaffoldError> {
    let files = files(name, pattern)?;
    let failed = |path: &Path, source| ScaffoldError::Write { path: path.to_owned(), source };
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(ScaffoldError::Exists { path: folder.to_owned() });
        }
        other => other.map_err(|source| failed(folder, source))?,
    }
    for (path, text) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
        }
        let mut file = std::fs::File::create_new(&path).map_err(|source| failed(&path, source))?;
        file.write_all(text.as_bytes()).map_err(|source| failed(&path, source))?;
    }
    Ok(files.len())
}

/// `acme-nas` becomes `AcmeNas`.
fn type_name(name: &DriverName) -> Result<String, ScaffoldError> {
    let text = name.as_str();
    // Names of crates; and those whose type would be a word of Rust, or of what the driver imports.
    let reserved = [
        "test",
        "core",
        "std",
        "alloc",
        "proc_macro",
        SDK_FOLDER,
        "bulkhead_sdk",
        "self",
        "driver",
        "share",
        "error",
        "result",
        "option",
        "some",
        "none",
        "ok",
        "err",
        "string",
        "vec",
        "snapshot",
        "protocol",
    ];
    let sound = text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter))
        && !reserved.contains(&text);
    if !sound {
        return Err(ScaffoldError::Name { name: text.to_owned() });
    }
    let mut type_name = String::new();
    for word in text.split(['-', '_']) {
        let mut letters = word.chars();
        type_name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        type_name.push_str(letters.as_str());
    }
    Ok(type_name)
}

fn rename_type(text: &str, type_name: &str) -> String {
    text.replace(&format!("::<{TYPE}>"), &format!("::<{type_name}>"))
        .replace(&format!("struct {TYPE};"), &format!("struct {type_name};"))
        .replace(&format!("for {TYPE} {{"), &format!("for {type_name} {{"))
        .replace(&format!("export_driver!({TYPE}:"), &format!("export_driver!({type_name}:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DriverName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_new_driver_has_a_sound_manifest_of_its_own_name() {
        for pattern in [Pattern::Directories, Pattern::Rest, Pattern::Ssh] {
            is_sound(pattern);
        }
    }

    fn is_sound(pattern: Pattern) {
        let files = files(&name("acme-nas"), pattern).expect("files");
        let text = |path: &str| &files.iter().find(|(found, _)| found == path).expect("the file is there").1;
        let manifest = crate::manifest::parse(text("driver.toml"), "driver.toml")
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.driver.name.as_str(), "acme-nas");
        assert!(text("Cargo.toml").contains("name = \"acme-nas\""));
        assert!(text("src/lib.rs").contains("export_driver!(AcmeNas: access)"));
        assert!(!files.iter().any(|(_, text)| text.contains(NAME)));
    }

    #[test]
    fn the_sdk_and_the_contract_lie_beside_it_and_inherit_nothing() {
        let files = files(&name("acme"), Pattern::default()).expect("files");
        let find = |path: &str| files.iter().find(|(found, _)| found == path).map(|(_, text)| text);
        assert!(find("bulkhead-sdk/wit/shares.wit").is_some_and(|text| text.contains("create-share")));
        assert!(find("bulkhead-sdk/wit/deps/host/files.wit").is_some());
        assert!(
            find("bulkhead-sdk/src/lib.rs").is_some() && find("bulkhead-sdk/examples/minimal.rs").is_some()
        );
        assert!(find("bulkhead-sdk/Cargo.toml").is_some_and(|text| !text.contains(".workspace")));
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("acme");
        let written = unpack(&name("acme"), Pattern::default(), &target).expect("written");
        assert_eq!(written, files(&name("acme"), Pattern::default()).expect("files").len());
        assert!(target.join("src/lib.rs").is_file());
        std::fs::write(target.join("src/lib.rs"), "mine").expect("written");
        assert!(matches!(
            unpack(&name("acme"), Pattern::default(), &target),
            Err(ScaffoldError::Exists { .. })
        ));
        assert_eq!(std::fs::read_to_string(target.join("src/lib.rs")).expect("read"), "mine");
    }

    #[test]
    fn a_name_that_is_no_crate_is_refused() {
        for text in ["Acme", "9lives", "core", "test", "self", "share", "result"] {
            assert!(
                matches!(files(&name(text), Pattern::default()), Err(ScaffoldError::Name { .. })),
                "{text}"
            );
        }
    }
}
