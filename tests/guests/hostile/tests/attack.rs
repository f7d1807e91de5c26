//! The attacks against the double of the host: it must refuse them as the real host does.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use bulkhead_hostile::Hostile;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{AccessUpdate, Creation, Reversion};

fn lab(behaviour: &str) -> Lab {
    let lab = Lab::new(include_str!("../driver.toml"));
    lab.run_for_real("copy-tree");
    lab.set_option("behaviour", Value::Text(behaviour.to_owned()));
    lab
}

/// Another tenant's share with a snapshot, made while the driver behaves.
fn lab_with_victim(behaviour: &str) -> Lab {
    let lab = lab("none");
    let share = sample::share(9, 1);
    lab.create_share::<Hostile>(&share).expect("it behaves");
    lab.create_snapshot::<Hostile>(&sample::snapshot(9, &share)).expect("it behaves");
    lab.set_option("behaviour", Value::Text(behaviour.to_owned()));
    lab
}

#[test]
fn every_call_that_names_another_tenant_is_refused_and_goes_on() {
    for behaviour in ["foreign", "escape"] {
        let lab = lab_with_victim(behaviour);
        let before = names(&lab);
        let share = sample::share(1, 2);
        let snapshot = sample::snapshot(1, &share);
        lab.create_share::<Hostile>(&share).expect(behaviour);
        lab.update_access::<Hostile>(&share, &AccessUpdate::default()).expect(behaviour);
        lab.ensure_shares::<Hostile>(std::slice::from_ref(&share)).expect(behaviour);
        lab.create_snapshot::<Hostile>(&snapshot).expect(behaviour);
        let copy = sample::share(2, 2);
        let creation = lab.create_share_from_snapshot::<Hostile>(&copy, &snapshot).expect(behaviour);
        assert!(matches!(creation, Creation::Available(_)));
        assert_eq!(lab.revert_to_snapshot::<Hostile>(&snapshot, &[], &[]), Ok(Reversion::Done));
        lab.extend_share::<Hostile>(&share, 3).expect(behaviour);
        lab.shrink_share::<Hostile>(&share, 2).expect(behaviour);
        lab.delete_snapshot::<Hostile>(&snapshot).expect(behaviour);
        lab.delete_share::<Hostile>(&copy).expect(behaviour);
        lab.delete_share::<Hostile>(&share).expect(behaviour);
        assert_eq!(names(&lab), before, "{behaviour} changed something of the other tenant");
    }
}

#[test]
fn a_behaviour_without_a_function_spares_what_keeps_the_backend_usable() {
    let lab = lab("no-pools");
    assert_eq!(lab.stats::<Hostile>().expect("spared").pools.len(), 1);
    lab.set_option("behaviour", Value::Text("no-pools@stats".to_owned()));
    assert!(lab.stats::<Hostile>().expect("it lies").pools.is_empty());
}

fn names(lab: &Lab) -> Vec<String> {
    let entries = std::fs::read_dir(lab.root("shares")).expect("the root");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
