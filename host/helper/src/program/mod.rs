//! Which programs a template may name, and which of their words: the reviewed table, and what is never let through.
//!
//! The capability asks before anything leaves the daemon, the helper asks again before anything runs. A program outside the table may
//! run only where the site's ceiling names it; one that runs other programs may not run at all, whatever it is called.

mod form;
mod service;
mod table;

pub use service::{check_service, is_reviewed_service};

use crate::protocol::{Refusal, Unreviewed};
use bulkhead_model::manifest::{CommandEffect, CommandTemplate, PathKind, SlotType};
use form::{Form, Joint, not_in_table};

/// A program that somebody has reviewed: every subcommand, option and operand that a template may write.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it may do beyond its own user's rights when the helper is root.
    pub privilege: Privilege,
    links: Links,
    forms: &'static [Form],
}

/// Whether the program follows a link that it is given as an operand. A file is handed over as one: `/proc/self/fd/N`.
#[derive(Debug, Clone, Copy)]
enum Links {
    Followed,
    /// Only with one of these options; without, it would see the link and not the file.
    FollowedWith(&'static [&'static str]),
}

/// What root keeps for a command; everything else is dropped before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Privilege {
    /// Nothing.
    None,
    /// To read, write and give away any file: what a faithful copy needs.
    Files,
    /// `Files`, and to administer filesystems.
    Filesystems,
    /// `Filesystems`, and to make the device nodes that a received tree holds.
    Replicas,
    /// `Files`, and what a file server does for its clients: to act as other users, to listen at low ports, to make special files.
    Server,
}

/// What is known about a template's program.
#[derive(Debug, Clone, Copy)]
pub enum Review {
    /// It stands in the table, and the template's words fit.
    Reviewed(Reviewed),
    /// Nobody has reviewed it; the ceiling lets it through.
    Unreviewed,
}

/// A call of a program in the table.
#[derive(Debug, Clone, Copy)]
pub struct Reviewed {
    /// The program.
    pub program: &'static Program,
    form: &'static Form,
}

impl Review {
    /// What the command keeps of root's rights.
    #[must_use]
    pub fn privilege(self) -> Privilege {
        match self {
            Self::Reviewed(Reviewed { program, form }) => form.privilege.unwrap_or(program.privilege),
            Self::Unreviewed => Privilege::None,
        }
    }

    /// Whether the command makes what the one before it sends, under that one's name. Both name it in their last word.
    pub(crate) fn receives(self) -> bool {
        self.joint() == Joint::Receives
    }

    const fn joint(self) -> Joint {
        match self {
            Self::Reviewed(reviewed) => reviewed.form.joint,
            Self::Unreviewed => Joint::Any,
        }
    }
}

/// The program in the reviewed table, if it stands there.
#[must_use]
pub fn find(name: &str) -> Option<&'static Program> {
    table::PROGRAMS.iter().find(|program| program.name == name)
}

/// Whether a file of this name runs other programs: a shell, an interpreter, or a tool with an option that runs a command.
#[must_use]
pub fn runs_others(file_name: &str) -> bool {
    let lower = file_name.to_ascii_lowercase();
    let stem = lower.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    table::RUN_OTHERS.contains(&lower.as_str()) || table::RUN_OTHERS.contains(&stem)
}

impl Program {
    /// Whether a template of this program sees a file that it is handed as a descriptor, and not the link that stands for it.
    ///
    /// Fails with `denied`, naming the option that is missing.
    pub(crate) fn check_files(&self, template: &CommandTemplate) -> Result<(), Refusal> {
        let Links::FollowedWith(options) = self.links else { return Ok(()) };
        if template.args.iter().any(|word| options.contains(&word.as_str())) {
            return Ok(());
        }
        Err(Refusal::denied(
            format!("template '{}' with a file where it expects a directory", template.name),
            format!("\"{}\" among the args in the driver's manifest", options.join("\" or \"")),
        ))
    }
}

/// Check a template's program and words. Pure.
///
/// Fails with `denied`, naming what would allow it.
pub fn check(template: &CommandTemplate, unreviewed: Unreviewed) -> Result<Review, Refusal> {
    let name = template.program.as_str();
    if runs_others(name) {
        return Err(Refusal::denied(
            format!("program '{name}', which runs other programs,"),
            "no line; name the program that does the work",
        ));
    }
    check_paths_are_owned(template)?;
    let Some(program) = find(name) else {
        return match unreviewed {
            Unreviewed::Allowed => Ok(Review::Unreviewed),
            Unreviewed::Refused => Err(Refusal::denied(
                format!("program '{name}', which is not in the reviewed table,"),
                format!("ceiling.unreviewed-programs = [\"{name}\"]"),
            )),
        };
    };
    let form = program.forms.iter().filter(|form| starts_with(&template.args, form.subcommand));
    let Some(form) = form.max_by_key(|form| form.subcommand.len()) else {
        let known: Vec<String> = program.forms.iter().map(|form| form.subcommand.join(" ")).collect();
        return Err(not_in_table(template, format!("it may be called as: {}", known.join(", "))));
    };
    if template.effect < form.effect {
        return Err(Refusal::denied(
            format!("template '{}': its effect is said to be less than what '{name}' does;", template.name),
            format!("effect = \"{}\" in the driver's manifest", effect_name(form.effect)),
        ));
    }
    let words = template.args.get(form.subcommand.len()..).unwrap_or_default();
    form.check(template, words)?;
    Ok(Review::Reviewed(Reviewed { program, form }))
}

/// Check commands that feed each other, or a single one: each as [`check`] does, and what each takes from the one before. Pure.
///
/// Fails with `denied`, naming what would allow it.
pub fn check_stages(stages: &[(&CommandTemplate, Unreviewed)]) -> Result<Vec<Review>, Refusal> {
    let reviews: Vec<Review> =
        stages.iter().map(|(template, unreviewed)| check(template, *unreviewed)).collect::<Result<_, _>>()?;
    let mut before = Joint::Any;
    for (place, (review, (template, _))) in reviews.iter().zip(stages).enumerate() {
        let behind = reviews.get(place.saturating_add(1)).map_or(Joint::Any, |review| review.joint());
        let fits = match review.joint() {
            Joint::Any => true,
            Joint::Sends => behind == Joint::Receives,
            Joint::Receives => before == Joint::Sends,
        };
        if !fits {
            return Err(Refusal::denied(
                format!("template '{}' without its counterpart", template.name),
                "[[pipeline]] stages = [\"the one that sends\", \"the one that receives\"] in the driver's manifest",
            ));
        }
        before = review.joint();
    }
    Ok(reviews)
}

/// What a template makes or removes must be recorded as such, or a command could take what belongs to another.
fn check_paths_are_owned(template: &CommandTemplate) -> Result<(), Refusal> {
    for (label, slot) in &template.slots {
        let SlotType::Path { kind, .. } = slot else { continue };
        let (key, declared) = match kind {
            PathKind::New | PathKind::NewInside => ("creates", &template.creates),
            PathKind::Remove => ("destroys", &template.destroys),
            PathKind::Existing | PathKind::MountTarget | PathKind::Text => continue,
        };
        if declared.as_ref() != Some(label) {
            return Err(Refusal::denied(
                format!("slot '{label}' of template '{}'", template.name),
                format!("{key} = \"{label}\" in the driver's manifest"),
            ));
        }
    }
    Ok(())
}

fn starts_with(args: &[String], subcommand: &[&str]) -> bool {
    args.len() >= subcommand.len() && args.iter().zip(subcommand).all(|(word, wanted)| word == wanted)
}

const fn effect_name(effect: CommandEffect) -> &'static str {
    match effect {
        CommandEffect::Read => "read",
        CommandEffect::Change => "change",
        CommandEffect::Destroy => "destroy",
    }
}

#[cfg(test)]
mod tests;
