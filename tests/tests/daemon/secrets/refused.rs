//! References that are wrong: each told with what to do, and mended without a restart.

use super::{canaries, canary_file, keep, leaky_lab};
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

/// Nobody listens there: these backends are never set up.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What the operator reads of the backend, once it holds `wanted`.
async fn told(daemon: &Daemon, wanted: &str) -> String {
    let begun = Instant::now();
    loop {
        let shown = daemon.operator().get("/v1/backends/nas1").await.map(|shown| shown.to_string());
        match shown {
            Ok(shown) if shown.contains(wanted) => return shown,
            shown => assert!(begun.elapsed() < Duration::from_secs(60), "no '{wanted}' in {shown:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Case T-O1.
#[tokio::test]
async fn a_backend_whose_secret_others_can_read_is_not_loaded_until_that_is_mended() {
    let lab = leaky_lab(&canaries(), "a marker", NOWHERE);
    let file = canary_file(&lab, 3);
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("its mode");
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    let shown = told(&daemon, &format!("chmod 0600 {}", file.display())).await;
    assert!(!shown.contains("Vogel"), "{shown}");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode");
    daemon.ready().await.expect("it is tried again by itself");
}

#[tokio::test]
async fn a_secret_that_is_a_link_or_empty_or_too_short_or_missing_is_told_with_what_to_do() {
    let lab = leaky_lab(&canaries(), "a marker", NOWHERE);
    let file = canary_file(&lab, 3);
    let daemon = {
        std::fs::remove_file(&file).expect("removed");
        Daemon::start(&lab).await.expect("a daemon")
    };
    told(&daemon, "is not there; write it with mode 0600").await;
    symlink(canary_file(&lab, 6), &file).expect("a link");
    told(&daemon, "is a symbolic link; name the regular file itself").await;
    std::fs::remove_file(&file).expect("removed");
    keep(&file, "");
    told(&daemon, "the secret is empty").await;
    keep(&file, "abc");
    let shown = told(&daemon, "fewer than 6 bytes").await;
    assert!(!shown.contains("abc"), "{shown}");
    keep(&file, "long enough");
    daemon.ready().await.expect("it is tried again by itself");
}

#[tokio::test]
async fn a_variable_that_is_not_set_and_a_secret_written_as_it_is_are_told_with_what_to_write() {
    for (option, wanted) in [
        ("secret://env/NOT_SET_ANYWHERE", "the daemon's environment has no variable of that name"),
        ("secret://credential/none", "add LoadCredential="),
        ("hunter2-hunter2", "secret://file/ABSOLUTE/PATH"),
    ] {
        let options = format!("marker = \"a marker\"\ncanary-01 = \"{option}\"\n");
        let lab = Lab::new().expect("a lab").with_backend("nas1", "leaky", &options).expect("a backend");
        let daemon = Daemon::start(&lab).await.expect("a daemon");
        let shown = told(&daemon, wanted).await;
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
