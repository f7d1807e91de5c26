//! The reviewed table of services: programs that run on, and the only words that each may be started with.
//!
//! Whoever adds a line has read the program's manual for options that run commands, open a door to the machine, or leave the foreground.

use super::Privilege;
use crate::protocol::{Refusal, Unreviewed};
use bulkhead_model::manifest::{PathKind, ServiceTemplate, SlotType};
use bulkhead_model::pattern::{Part, parts};

/// A program that may be a service.
struct Program {
    name: &'static str,
    privilege: Privilege,
    words: &'static [Word],
    /// Without these it would leave the foreground.
    required: &'static [&'static str],
}

/// A word, or two, that was found harmless.
enum Word {
    /// Alone: `-F`.
    Alone(&'static str),
    /// Joined to a path slot of kind `text`: `--config-file={path}`.
    JoinedPath(&'static str),
    /// Before a path slot of kind `text`: `-f {path}`.
    BeforePath(&'static str),
    /// Before one of these: `-N EVENT`.
    BeforeOneOf(&'static str, &'static [&'static str]),
    /// Before a file of the group's own, in the template's own words: `-p /run/server.pid`.
    BeforeRun(&'static str),
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "dbus-daemon",
        privilege: Privilege::Files,
        words: &[
            Word::JoinedPath("--config-file"),
            Word::Alone("--nofork"),
            Word::Alone("--nopidfile"),
            Word::Alone("--nosyslog"),
        ],
        required: &["--config-file", "--nofork", "--nopidfile"],
    },
    Program {
        name: "ganesha.nfsd",
        privilege: Privilege::Server,
        words: &[
            Word::Alone("-F"),
            Word::BeforePath("-f"),
            Word::BeforeOneOf("-L", &["STDERR", "STDOUT"]),
            Word::BeforeRun("-p"),
            Word::BeforeOneOf("-N", &["NULL", "FATAL", "MAJ", "CRIT", "WARN", "EVENT", "INFO"]),
        ],
        required: &["-F", "-f", "-L", "-p"],
    },
    Program { name: "rpcbind", privilege: Privilege::Server, words: &[Word::Alone("-f")], required: &["-f"] },
];

/// Whether a service of this program needs no word of the site's ceiling.
#[must_use]
pub fn is_reviewed_service(name: &str) -> bool {
    PROGRAMS.iter().any(|program| program.name == name)
}

/// Check a service's program and words; what it keeps of root's rights. Pure.
///
/// Fails with `denied`, naming what would allow it.
pub fn check_service(template: &ServiceTemplate, unreviewed: Unreviewed) -> Result<Privilege, Refusal> {
    let name = template.program.as_str();
    if super::runs_others(name) {
        return Err(Refusal::denied(
            format!("program '{name}', which runs other programs,"),
            "no line; name the program that does the work",
        ));
    }
    let Some(program) = PROGRAMS.iter().find(|program| program.name == name) else {
        return match unreviewed {
            Unreviewed::Allowed => Ok(Privilege::None),
            Unreviewed::Refused => Err(Refusal::denied(
                format!("program '{name}', which is not among the reviewed services,"),
                format!("ceiling.unreviewed-programs = [\"{name}\"]"),
            )),
        };
    };
    let mut found = Vec::new();
    let mut rest = template.args.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let flag = program.words.iter().find_map(|known| known.take(template, word, &mut rest));
        found.push(
            flag.ok_or_else(|| not_reviewed(template, &format!("'{word}' is not among its reviewed words")))?,
        );
    }
    for wanted in program.required {
        if !found.contains(wanted) {
            return Err(not_reviewed(template, &format!("'{wanted}' is missing")));
        }
    }
    Ok(program.privilege)
}

impl Word {
    /// The flag, if the next words are this one's.
    fn take<'word>(
        &self,
        template: &ServiceTemplate,
        word: &str,
        rest: &mut (impl Iterator<Item = &'word str> + Clone),
    ) -> Option<&'static str> {
        let (flag, fits) = match self {
            Self::Alone(flag) => return (word == *flag).then_some(*flag),
            Self::JoinedPath(flag) => {
                let value = word.strip_prefix(flag).and_then(|rest| rest.strip_prefix('='))?;
                return is_path(template, value).then_some(*flag);
            }
            Self::BeforePath(flag) => (*flag, is_path(template, rest.clone().next()?)),
            Self::BeforeOneOf(flag, words) => (*flag, words.contains(&rest.clone().next()?)),
            Self::BeforeRun(flag) => (*flag, is_of_run(rest.clone().next()?)),
        };
        if word != flag || !fits {
            return None;
        }
        rest.next();
        Some(flag)
    }
}

fn is_path(template: &ServiceTemplate, word: &str) -> bool {
    let found = parts(word);
    let [Part::Place(label)] = found.as_slice() else { return false };
    matches!(template.slots.get(label), Some(SlotType::Path { kind: PathKind::Text, .. }))
}

fn is_of_run(word: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
    word.starts_with("/run/") && word.chars().all(letters) && !word.contains("..")
}

fn not_reviewed(template: &ServiceTemplate, why: &str) -> Refusal {
    Refusal::denied(
        format!("service '{}' as a call of '{}'", template.name, template.program),
        format!("no line of a grant; {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(program: &str, args: &[&str]) -> ServiceTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "tried", "group": "nfs", "reason": "a test", "program": program, "args": args,
            "slots": { "config": { "type": "path", "kind": "text", "root": "config", "pattern": ["a.conf"] } },
        }))
        .expect("a template")
    }

    fn is_allowed(program: &str, args: &[&str]) -> bool {
        check_service(&service(program, args), Unreviewed::Refused).is_ok()
    }

    #[test]
    fn a_service_is_started_with_its_reviewed_words_and_no_others() {
        let bus = ["--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"];
        assert!(is_allowed("dbus-daemon", &bus));
        assert!(is_allowed("rpcbind", &["-f"]));
        let server = ["-F", "-f", "{config}", "-L", "STDERR", "-p", "/run/ganesha.pid", "-N", "EVENT"];
        assert!(is_allowed("ganesha.nfsd", &server));
        for words in [
            &["--config-file={config}", "--nopidfile"][..],
            &["--config-file=/etc/dbus-1/system.conf", "--nofork", "--nopidfile"],
            &["--session", "--nofork", "--nopidfile", "--config-file={config}"],
            &["--address=unix:path=/tmp/x", "--nofork", "--nopidfile", "--config-file={config}"],
        ] {
            assert!(!is_allowed("dbus-daemon", words), "{words:?}");
        }
        assert!(!is_allowed("rpcbind", &["-f", "-w"]) && !is_allowed("rpcbind", &[]));
        for (from, to) in
            [("STDERR", "/etc/passwd"), ("/run/ganesha.pid", "/run/../etc/x"), ("{config}", "/tmp/x")]
        {
            let words: Vec<&str> = server.iter().map(|word| if *word == from { to } else { word }).collect();
            assert!(!is_allowed("ganesha.nfsd", &words), "{words:?}");
        }
    }

    #[test]
    fn other_programs_are_services_only_where_the_site_says_so_and_shells_never() {
        let told = check_service(&service("acmed", &[]), Unreviewed::Refused).expect_err("not reviewed");
        assert!(told.message.contains("ceiling.unreviewed-programs = [\"acmed\"]"), "{told}");
        assert_eq!(check_service(&service("acmed", &["-x"]), Unreviewed::Allowed), Ok(Privilege::None));
        assert!(check_service(&service("bash", &[]), Unreviewed::Allowed).is_err());
    }
}
