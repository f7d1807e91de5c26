//! `[[pipeline]]` and `[[job]]`.

use super::service::undeclared;
use super::{below, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandTemplate, Manifest, PipelineTemplate, SlotType};
use std::collections::BTreeMap;

/// The most stages of a pipeline.
const MOST_STAGES: usize = 8;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, pipeline) in manifest.pipelines.iter().enumerate() {
        let table = steps!("pipeline", place);
        reason(&pipeline.reason, below!(table.as_slice(), "reason"), findings);
        if !(2..=MOST_STAGES).contains(&pipeline.stages.len()) {
            let message = format!("a pipeline has 2 to {MOST_STAGES} stages");
            findings.push(Finding::new(below!(table.as_slice(), "stages"), message));
        }
        stages(manifest, pipeline, &table, findings);
    }
    for (place, job) in manifest.jobs.iter().enumerate() {
        let table = steps!("job", place);
        reason(&job.reason, below!(table.as_slice(), "reason"), findings);
        let runs = job.runs.as_str();
        let is_pipeline = manifest.pipeline(runs).is_some();
        if !is_pipeline && manifest.command(runs).is_none() {
            let known = manifest.commands.iter().map(|template| template.name.as_str());
            let known = known.chain(manifest.pipelines.iter().map(|pipeline| pipeline.name.as_str()));
            findings.push(undeclared(
                "[[execute]] or [[pipeline]]",
                &job.runs,
                known,
                below!(table.as_slice(), "runs"),
            ));
        }
        if job.counts_bytes && !is_pipeline {
            let message = "only what passes between the stages of a pipeline is counted";
            findings.push(Finding::new(below!(table.as_slice(), "counts-bytes"), message));
        }
    }
}

fn stages(manifest: &Manifest, pipeline: &PipelineTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let mut slots: BTreeMap<&Label, (&SlotType, &Label)> = BTreeMap::new();
    for (number, name) in pipeline.stages.iter().enumerate() {
        let path = || below!(table, "stages", number);
        let Some(stage) = manifest.command(name.as_str()) else {
            let known = manifest.commands.iter().map(|template| template.name.as_str());
            findings.push(undeclared("[[execute]]", name, known, path()));
            continue;
        };
        if stage.stdin.is_some() {
            let message = format!("'{name}' has a standard input of its own");
            findings.push(Finding::new(path(), message).hint("a stage reads what the one before it writes"));
        }
        same_types(stage, &mut slots, path, findings);
    }
}

/// One name is one value, so it must be of one type.
fn same_types<'manifest>(
    stage: &'manifest CommandTemplate,
    slots: &mut BTreeMap<&'manifest Label, (&'manifest SlotType, &'manifest Label)>,
    path: impl Fn() -> Vec<Step>,
    findings: &mut Vec<Finding>,
) {
    for (label, slot) in &stage.slots {
        match slots.get(label) {
            Some((other, first)) if *other != slot => {
                let message = format!(
                    "the slot '{label}' of '{}' is of another type than that of '{first}'",
                    stage.name
                );
                findings
                    .push(Finding::new(path(), message).hint("one name is one value: rename one of them"));
            }
            Some(_) => {}
            None => {
                slots.insert(label, (slot, &stage.name));
            }
        }
    }
}
