//! What the kernel tells is read by one function, and reached by no other.

use crate::lab::{Lab, at, code};
use bulkhead_capability::files::LARGEST_KERNEL_FILE;
use bulkhead_capability::testing::grant_everything;
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::{Manifest, RootUse};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn manifest() -> Manifest {
    let mut manifest = crate::lab::manifest();
    let mut kernel = manifest.roots[0].clone();
    kernel.name = "kernel".parse().expect("a label");
    kernel.root_use = RootUse::Kernel;
    let paths = ["ostype", "0_{number}/limit", "{number}/{number}", "link", "long"];
    kernel.paths = paths.map(|path| path.parse().expect("a pattern")).to_vec();
    manifest.roots.push(kernel);
    manifest
}

async fn lab_at(place: Option<&Path>) -> (Lab, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory").keep();
    let kernel = place.unwrap_or(&directory).to_owned();
    let lab = Lab::with(|parts| {
        let roots = parts.grant.roots.iter().map(|(name, root)| (name.as_str(), root.path.clone()));
        let roots: BTreeMap<_, _> = roots.chain([("kernel", kernel)]).collect();
        parts.grant = grant_everything(&manifest(), &roots);
        parts.manifest = Arc::new(manifest());
    })
    .await;
    (lab, directory)
}

#[tokio::test]
async fn a_file_of_the_kernel_is_read_to_its_end_whatever_size_it_reports() {
    let (lab, directory) = lab_at(Some(Path::new("/proc/sys/kernel"))).await;
    assert_eq!(std::fs::metadata("/proc/sys/kernel/ostype").expect("a file").len(), 0);
    let read = lab.call().files().read_kernel("kernel", "ostype", &[]).await;
    assert_eq!(read.as_deref(), Ok(b"Linux\n".as_slice()));
    assert_eq!(lab.last_effect().await, ("files.read-kernel".to_owned(), EffectOutcome::Done));
    std::fs::remove_dir_all(directory).expect("removed");
}

#[tokio::test]
async fn numbers_fill_the_places_in_order_and_one_for_each() {
    let (lab, directory) = lab_at(None).await;
    std::fs::create_dir(directory.join("0_257")).expect("a directory");
    std::fs::write(directory.join("0_257/limit"), "4096\n").expect("a file");
    std::fs::create_dir(directory.join("1")).expect("a directory");
    std::fs::write(directory.join("1/2"), "x").expect("a file");
    let call = lab.call();
    let read =
        async |pattern: &str, numbers: &[u64]| call.files().read_kernel("kernel", pattern, numbers).await;
    assert_eq!(read("0_{number}/limit", &[257]).await.as_deref(), Ok(b"4096\n".as_slice()));
    assert_eq!(read("{number}/{number}", &[1, 2]).await.as_deref(), Ok(b"x".as_slice()));
    assert_eq!(code(read("0_{number}/limit", &[u64::MAX]).await), CapabilityCode::NotFound);
    for numbers in [&[][..], &[1], &[1, 2, 3]] {
        assert_eq!(code(read("{number}/{number}", numbers).await), CapabilityCode::InvalidArgument);
    }
    assert_eq!(code(read("{number}", &[1]).await), CapabilityCode::Denied, "a directory, and not declared");
    assert_eq!(code(read("../secret", &[]).await), CapabilityCode::Denied);
    std::fs::remove_dir_all(directory).expect("removed");
}

#[tokio::test]
async fn links_directories_and_long_files_are_refused() {
    let (lab, directory) = lab_at(None).await;
    std::os::unix::fs::symlink("/etc/hostname", directory.join("link")).expect("a link");
    std::fs::write(directory.join("long"), vec![0; LARGEST_KERNEL_FILE + 1]).expect("a file");
    std::fs::create_dir(directory.join("ostype")).expect("a directory");
    let call = lab.call();
    let read = async |pattern: &str| code(call.files().read_kernel("kernel", pattern, &[]).await);
    assert_eq!(read("link").await, CapabilityCode::Denied);
    assert_eq!(read("long").await, CapabilityCode::LimitExceeded);
    assert_eq!(read("ostype").await, CapabilityCode::InvalidArgument);
    std::fs::write(directory.join("long"), vec![0; LARGEST_KERNEL_FILE]).expect("a file");
    assert!(call.files().read_kernel("kernel", "long", &[]).await.is_ok());
    std::fs::remove_dir_all(directory).expect("removed");
}

#[tokio::test]
async fn every_other_function_is_denied_and_read_kernel_in_every_other_root() {
    let (lab, directory) = lab_at(None).await;
    std::fs::write(directory.join("ostype"), "x").expect("a file");
    let call = lab.call();
    let files = call.files();
    let place = at("kernel", "ostype", None);
    for denied in [
        files.status(&place).await.map(drop),
        files.list_directory(&place).await.map(drop),
        files.usage(&place).await.map(drop),
        files.read(&place).await.map(drop),
        files.location(&place).await.map(drop),
        files.root_space("kernel").await.map(drop),
        files.create_directory(&place).await,
        files.remove(&place).await,
        files.rename(&place, &place).await,
        files.write(&place, b"x").await,
    ] {
        let error = denied.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied);
        assert!(error.message.contains("only files.read-kernel"), "{}", error.message);
    }
    for (root, pattern, line) in [
        ("state", "{share}", "use = \"kernel\""),
        ("kernel", "{share}", "paths = [\"{share}\"]"),
        ("other", "x", "[[root]] name = \"other\""),
    ] {
        let error = files.read_kernel(root, pattern, &[]).await.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied);
        assert!(error.message.contains(line), "{}", error.message);
    }
    std::fs::remove_dir_all(directory).expect("removed");
}

#[tokio::test]
async fn it_needs_the_right_and_the_root() {
    let lab = Lab::with(|parts| {
        parts.manifest = Arc::new(manifest());
        parts.grant.roots.clear();
    })
    .await;
    let error = lab.call().files().read_kernel("kernel", "ostype", &[]).await.expect_err("denied");
    assert!(error.message.contains("grant.roots.kernel = "), "{}", error.message);
    let lab =
        Lab::with(|parts| parts.grant.capabilities.retain(|granted| *granted != Capability::Files)).await;
    let error = lab.call().files().read_kernel("kernel", "ostype", &[]).await.expect_err("denied");
    assert!(error.message.contains("grant.capabilities = [\"files\"]"), "{}", error.message);
}
