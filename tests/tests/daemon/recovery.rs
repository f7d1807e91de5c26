//! Kills in the middle: the short version of `cargo xtask soak`.

use bulkhead_tests::kills::{self, Kills};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_orphaned_when_daemon_and_helper_are_killed() {
    // A fixed seed: what fails here fails again.
    let wanted = Kills { daemon: 20, helper: 5, ganesha: 0 };
    let tally = kills::run(20_261_125, wanted).await.expect("everything is as it was acknowledged");
    assert_eq!(tally.kills, wanted);
    assert!(tally.requests > 0, "nobody asked for anything");
}
