//! The size of a share holds, for whoever writes, and moves without harm.

use crate::{mount, mounted_share};
use anyhow::ensure;
use bulkhead_tests::machine::{CLIENTS, isolated};
use bulkhead_tests::nfs::Failure;
use bulkhead_tests::site::{Plan, Site};
use bulkhead_tests::verbs::{act, allow, create_share, create_snapshot};
use serde_json::json;

const GIB: u64 = 1 << 30;

#[test]
fn a_write_past_the_size_gets_dquot_and_goes_on_after_an_extension() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        let (written, stopped) = client.fill("large", 2 * GIB).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded), "{written} bytes, then {stopped:?}");
        ensure!(written <= GIB && written > GIB / 10 * 9, "{written} bytes of 1 GiB");
        // Not even a name fits any more; that must not lame the share: reading, removing, extending go on.
        let mut refused = 0;
        for number in 0..2000 {
            refused += u64::from(client.write(&format!("small-{number}"), &[1; 4096]).await.is_err());
        }
        ensure!(refused > 0, "a full share took everything");
        act(&site.tenant(), &share, json!({ "extend": { "new_size": 2 } })).await?;
        ensure!(client.fill("more", 64 << 20).await?.1.is_none(), "the room that was added is not there");
        client.remove("large").await?;
        client.write("after", b"all is well").await?;
        Ok(())
    })
}

#[test]
fn a_shrink_below_what_is_used_is_refused_and_nothing_is_lost() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        act(&site.tenant(), &share, json!({ "extend": { "new_size": 2 } })).await?;
        ensure!(client.fill("large", GIB + (64 << 20)).await?.1.is_none());
        let found = act(&site.tenant(), &share, json!({ "shrink": { "new_size": 1 } })).await?;
        ensure!(found["size"] == 2 && found["status"] == "available", "{found}");
        client.write("small", b"still writable").await?;
        client.remove("large").await?;
        let found = act(&site.tenant(), &share, json!({ "shrink": { "new_size": 1 } })).await?;
        ensure!(found["size"] == 1, "it is empty, but was not shrunk: {found}");
        let (written, stopped) = client.fill("large", 2 * GIB).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded) && written <= GIB, "{written}: {stopped:?}");
        Ok(())
    })
}

#[test]
fn a_share_from_a_snapshot_and_a_reverted_one_have_sizes_of_their_own_not_the_origins() -> anyhow::Result<()>
{
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        client.fill("before", 300 << 20).await?.1.map_or(Ok(()), Err)?;
        let snapshot = create_snapshot(&site.tenant(), &share).await?;
        // The snapshot inherited a limit of 1 GiB; the share has another one by the time it is reverted to, and gets its size back.
        act(&site.tenant(), &share, json!({ "extend": { "new_size": 2 } })).await?;
        let found = act(&site.tenant(), &share, json!({ "revert": { "snapshot_id": snapshot } })).await?;
        ensure!(found["size"] == 1, "the size is not that of the snapshot: {found}");
        client.remount().await?;
        let (written, stopped) = client.fill("after", GIB).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded), "{written} bytes, {stopped:?}");
        act(&site.tenant(), &share, json!({ "extend": { "new_size": 2 } })).await?;
        let (written, stopped) = client.fill("later", GIB / 2).await?;
        ensure!(
            stopped.is_none(),
            "the reverted share kept the snapshot's limit: {written} bytes, {stopped:?}"
        );
        let copy =
            create_share(&site.tenant(), json!({ "share_proto": "NFS", "size": 2, "snapshot_id": snapshot }))
                .await?;
        allow(&site.tenant(), &copy, CLIENTS[1], "rw").await?;
        let mut second = mount(&site, &copy, CLIENTS[1]).await?;
        let (written, stopped) = second.fill("after", 3 * GIB).await?;
        ensure!(stopped == Some(Failure::QuotaExceeded), "{written} bytes: {stopped:?}");
        ensure!(written > GIB, "the copy kept the snapshot's limit: {written} bytes");
        Ok(())
    })
}
