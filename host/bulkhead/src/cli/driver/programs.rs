//! What the reviewed table of programs says about a driver's commands, told before an operator meets it.

use bulkhead_helper::program::{self, Review};
use bulkhead_helper::protocol::{Refusal, Unreviewed};
use bulkhead_model::manifest::{CommandTemplate, Manifest, PipelineTemplate};
use bulkhead_package::toml_file::{Finding, Step, TomlFile};

/// Commands that no host runs, each at its line of the manifest.
pub(super) fn check(manifest: &Manifest, text: &str, file: &str) -> anyhow::Result<()> {
    let parsed = TomlFile::parse(text, file).map_err(|problems| told(problems.iter()))?;
    let mut problems = Vec::new();
    for (place, template) in manifest.commands.iter().enumerate() {
        if let Err(refusal) = program::check(template, Unreviewed::Allowed) {
            let path = vec![Step::from("execute"), Step::from(place), Step::from("program")];
            problems.push(parsed.place(Finding::new(path, refusal.message)));
        }
    }
    for (place, pipeline) in manifest.pipelines.iter().enumerate() {
        if let Err(refusal) = joined(manifest, pipeline) {
            let path = vec![Step::from("pipeline"), Step::from(place), Step::from("stages")];
            problems.push(parsed.place(Finding::new(path, refusal.message)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(told(problems.iter())) }
}

/// Whether the stages of a pipeline may feed each other. One that is not declared, or not sound by itself, is told of elsewhere.
fn joined(manifest: &Manifest, pipeline: &PipelineTemplate) -> Result<(), Refusal> {
    let stages: Vec<_> = pipeline.stages.iter().filter_map(|name| manifest.command(name.as_str())).collect();
    let sound = |template: &&CommandTemplate| program::check(template, Unreviewed::Allowed).is_ok();
    if stages.len() != pipeline.stages.len() || !stages.iter().all(sound) {
        return Ok(());
    }
    let stages: Vec<_> = stages.into_iter().map(|template| (template, Unreviewed::Allowed)).collect();
    program::check_stages(&stages).map(|_| ())
}

fn told<'a>(problems: impl Iterator<Item = &'a bulkhead_package::toml_file::Problem>) -> anyhow::Error {
    let lines: Vec<String> = problems.map(ToString::to_string).collect();
    anyhow::anyhow!("the manifest is not accepted\n{}", lines.join("\n"))
}

/// What an operator has to know about the programs of a driver.
pub(super) fn attention(manifest: &Manifest) -> Vec<String> {
    let said = manifest.commands.iter().map(|template| {
        let (name, program) = (&template.name, &template.program);
        match program::check(template, Unreviewed::Allowed) {
            Ok(Review::Reviewed(_)) => None,
            Ok(Review::Unreviewed) => Some(format!(
                "execute {name} runs {program}, which nobody has reviewed: the site's ceiling must name it in unreviewed-programs"
            )),
            Err(refusal) => Some(format!("execute {name} is never run by this host: {}", refusal.message)),
        }
    });
    said.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(program: &str) -> (Manifest, String) {
        let text = format!(
            "[driver]\nname = 'x'\nvendor = 'y'\nversion = '1.0.0'\ncontract = '0.1'\ndhss = [false]\nprotocols = ['NFS']\n\
             [[execute]]\nname = 'go'\nreason = 'a reason'\neffect = 'read'\nrepeat = 'safe'\nprogram = '{program}'\n"
        );
        (bulkhead_package::manifest::parse(&text, "driver.toml").expect("a sound manifest"), text)
    }

    #[test]
    fn a_shell_is_refused_at_its_line() {
        let (manifest, text) = manifest("sh");
        let error = check(&manifest, &text, "driver.toml").expect_err("a shell").to_string();
        assert!(error.contains("driver.toml:13:1: execute[go].program: program 'sh'"), "{error}");
    }

    #[test]
    fn a_pipeline_that_sends_to_nobody_is_refused_at_its_line() {
        let (mut manifest, text) = manifest("true");
        let slot =
            serde_json::json!({ "type": "path", "kind": "existing", "root": "pool", "pattern": ["{share}"] });
        if let Some(template) = manifest.commands.first_mut() {
            template.program = "btrfs".to_owned();
            template.args = ["send", "{base}"].map(str::to_owned).to_vec();
            template
                .slots
                .insert("base".parse().expect("a label"), serde_json::from_value(slot).expect("a slot"));
        }
        let pipeline = "[[pipeline]]\nname = 'copy'\nreason = 'a reason'\nstages = ['go', 'go']\n";
        let go: bulkhead_model::id::Label = "go".parse().expect("a label");
        manifest.pipelines.push(PipelineTemplate {
            name: "copy".parse().expect("a label"),
            reason: "a reason".to_owned(),
            stages: vec![go.clone(), go],
        });
        let error =
            check(&manifest, &format!("{text}{pipeline}"), "driver.toml").expect_err("nobody receives");
        assert!(
            error.to_string().contains("driver.toml:17:1: pipeline[copy].stages: template 'go'"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_program_is_shown_and_a_reviewed_one_is_not() {
        let (unknown, text) = manifest("acme-tool");
        assert!(check(&unknown, &text, "driver.toml").is_ok());
        assert!(attention(&unknown).iter().any(|line| line.contains("unreviewed-programs")));
        let (reviewed, _) = manifest("true");
        assert!(attention(&reviewed).is_empty());
    }
}
