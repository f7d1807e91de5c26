//! Where a driver can stand, in words: the grant says where it does.

use bulkhead_model::manifest::{Manifest, SlotType};

/// The places that a backend of this driver can have; none to tell of where it runs no commands and touches no directories.
pub(super) fn places(manifest: &Manifest) -> Vec<String> {
    let beyond = beyond_commands(manifest);
    if manifest.commands.is_empty() && beyond.is_none() {
        return Vec::new();
    }
    let helper =
        "local, or ssh:TARGET with this host's helper on it: every word and path is checked where it is used";
    let plain = match beyond {
        Some(what) => format!("not ssh-plain:TARGET, an array's own command line, which has no place for {what}"),
        None => "ssh-plain:TARGET, an array's own command line: the words below are checked here and nothing is checked there; \
                 the array takes each line apart, and does what it does with rights that this host cannot narrow"
            .to_owned(),
    };
    vec![helper.to_owned(), plain]
}

/// What an array's own command line cannot serve; the first thing found.
fn beyond_commands(manifest: &Manifest) -> Option<String> {
    let path = |slot: &SlotType| matches!(slot, SlotType::Path { .. });
    let found = [
        manifest.groups.first().map(|group| format!("group '{}'", group.name)),
        manifest.jobs.first().map(|job| format!("job '{}'", job.name)),
        manifest.pipelines.first().map(|pipeline| format!("pipeline '{}'", pipeline.name)),
        manifest.roots.first().map(|root| format!("root '{}'", root.name)),
        manifest
            .commands
            .iter()
            .find(|command| {
                command.inside.is_some() || !command.env.is_empty() || command.slots.values().any(path)
            })
            .map(|command| format!("the paths, environment or namespaces of command '{}'", command.name)),
    ];
    found.into_iter().flatten().next()
}
