//! The whole life of a share, as the demo tells it.

use bulkhead_tests::machine::isolated;
use bulkhead_tests::story;

#[test]
fn the_story_that_the_demo_tells_holds_and_leaves_nothing_behind() -> anyhow::Result<()> {
    isolated(async |folder| story::nfs::tell(&folder).await)
}
