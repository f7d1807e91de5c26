//! The driver of an array that is managed over HTTPS, against one.

use crate::{config, names, report, with_verdict};
use bulkhead_tests::appliance::{Appliance, Plan};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_appliance_driver_keeps_the_contract_on_a_real_array() {
    let plan = Plan { is_encrypted: true, job_time: Duration::from_millis(20), ..Plan::default() };
    let array = Appliance::start(plan, 2).await.expect("an array");
    let folder = tempfile::tempdir().expect("a folder");
    let options = array.options(folder.path()).expect("options");
    let binding = array.binding(folder.path()).expect("a binding");
    let file = config(folder.path(), &format!("[options]\n{options}[endpoints]\n{binding}"));
    let checked = tokio::task::spawn_blocking(move || {
        report("rest-appliance", &["--budget", "120", "--against", &file])
    });
    let (report, code) = checked.await.expect("checked");
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for id in [
        "create-share-converges",
        "delete-share-converges",
        "create-snapshot-converges",
        "access-add-converges",
    ] {
        assert!(names(&held).contains(id), "{id} did not hold: {report}");
    }
    assert_eq!(array.sessions(), 0, "it was logged out of");
    assert_eq!(array.counts().forged, 0);
}
