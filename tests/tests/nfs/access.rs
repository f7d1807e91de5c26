//! Who may mount a share, and how: by address, network and family, changed while clients go on.

use crate::{mount, mounted_share, small_share};
use anyhow::ensure;
use bulkhead_tests::daemon::settle;
use bulkhead_tests::machine::{CLIENTS, CLIENTS_V6, isolated};
use bulkhead_tests::nfs::Failure;
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{allow, deny, share_path};
use serde_json::json;

#[test]
fn a_rule_for_one_address_lets_in_that_address_alone() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let share = small_share(&site.tenant()).await?;
        for stranger in CLIENTS {
            ensure!(
                site.mount(&share, stranger).await?.err() == Some(Failure::AccessDenied),
                "no rule: {stranger}"
            );
        }
        allow(&site.tenant(), &share, CLIENTS[0], "rw").await?;
        mount(&site, &share, CLIENTS[0]).await?.write("mine", b"mine").await?;
        for stranger in [CLIENTS[1], CLIENTS[2], CLIENTS_V6[0]] {
            let refused = site.mount(&share, stranger).await?;
            ensure!(refused.as_ref().err() == Some(&Failure::AccessDenied), "{stranger}: {refused:?}");
        }
        Ok(())
    })
}

#[test]
fn a_rule_for_a_network_lets_in_all_of_it_and_nobody_else() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let share = small_share(&site.tenant()).await?;
        allow(&site.tenant(), &share, "10.77.0.0/24", "rw").await?;
        allow(&site.tenant(), &share, "fd77::/64", "ro").await?;
        mount(&site, &share, CLIENTS[0]).await?.write("from-0", b"0").await?;
        mount(&site, &share, CLIENTS[1]).await?.write("from-1", b"1").await?;
        let mut modern = mount(&site, &share, CLIENTS_V6[0]).await?;
        ensure!(modern.list().await? == ["from-0", "from-1"]);
        ensure!(modern.write("from-6", b"6").await == Err(Failure::ReadOnly));
        for stranger in [CLIENTS[2], CLIENTS_V6[1]] {
            let refused = site.mount(&share, stranger).await?;
            ensure!(refused.as_ref().err() == Some(&Failure::AccessDenied), "{stranger}: {refused:?}");
        }
        Ok(())
    })
}

#[test]
fn a_changed_rule_is_felt_at_the_next_call_without_a_remount() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        let other = allow(&site.tenant(), &share, CLIENTS[1], "rw").await?;
        let mut second = mount(&site, &share, CLIENTS[1]).await?;
        second.write("letter", b"dear all").await?;
        deny(&site.tenant(), &share, &other).await?;
        let refused = second.read("letter").await;
        ensure!(refused == Err(Failure::AccessDenied), "a client without a rule got {refused:?}");
        let reads = allow(&site.tenant(), &share, CLIENTS[1], "ro").await?;
        ensure!(second.read("letter").await? == b"dear all");
        ensure!(second.write("letter", b"no").await == Err(Failure::ReadOnly));
        deny(&site.tenant(), &share, &reads).await?;
        allow(&site.tenant(), &share, CLIENTS[1], "rw").await?;
        second.write("letter", b"dear all again").await?;
        ensure!(client.read("letter").await? == b"dear all again", "the other client was disturbed");
        Ok(())
    })
}

#[test]
fn a_rule_that_ganesha_could_not_hold_to_is_refused_at_the_door() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let share = small_share(&site.tenant()).await?;
        let action = format!("{}/action", share_path(&share));
        let rules = [
            ("ip", "10.77.0.300"),
            ("ip", "10.77.0.0/33"),
            ("ip", "*"),
            ("ip", "@netgroup"),
            ("ip", "host.example"),
        ];
        for (kind, to) in rules {
            let rule =
                json!({ "allow_access": { "access_type": kind, "access_to": to, "access_level": "rw" } });
            let answer = site.tenant().send("POST", &action, Some(&rule)).await?;
            ensure!(answer.status == 400, "{kind} {to}: {} {}", answer.status, answer.body);
        }
        // A user is nothing that NFS-Ganesha is told about: the rule fails alone.
        let rule =
            json!({ "allow_access": { "access_type": "user", "access_to": "alice", "access_level": "rw" } });
        let answer = site.tenant().send("POST", &action, Some(&rule)).await?;
        if answer.status < 300 {
            let id = answer.body["access"]["id"].as_str().unwrap_or_default();
            settle(&site.tenant(), &format!("/v2/share-access-rules/{id}"), "access", &["error"]).await?;
        }
        ensure!(site.mount(&share, CLIENTS[0]).await?.is_err(), "somebody was let in");
        Ok(())
    })
}
