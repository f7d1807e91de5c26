//! Commands, pipelines and jobs: what they make and remove is checked and recorded, then the test answers.

use super::command::Command;
use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::Template;
use super::slots::{Filled, Look};
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::execute::Output;
use crate::job;
use crate::resource::Resource;
use crate::service::Instance;
use crate::slots::Slots;

/// The most jobs of one backend that run at once.
const MOST_JOBS: usize = 4;

/// Whose job, its name and its key.
pub(super) type JobKey = (Resource, String, String);

/// A job that was started.
#[derive(Debug, Clone)]
pub(super) struct Job {
    command: Command,
    state: job::State,
}

impl State {
    pub(super) fn run(&self, template: &str, slots: Slots) -> Answer<Output> {
        let declared = self.command(template)?;
        let filled = self.fill(template, declared, slots)?;
        self.own_what_it_changes(declared, &filled)?;
        self.capture(&[]);
        let output = self.answer(Command::new(template, declared, filled))?;
        self.capture(&declared.captures);
        Ok(output)
    }

    pub(super) fn run_with_retries(&self, template: &str, slots: Slots) -> Answer<Output> {
        if !self.command(template)?.is_repeatable {
            return deny(&format!("{template} may not be repeated"), "repeat = \"safe\"");
        }
        self.run(template, slots)
    }

    fn command(&self, template: &str) -> Answer<&Template> {
        self.manifest.commands.get(template).map_or_else(
            || {
                invalid(format!(
                    "no command template '{template}' is declared; declare it as [[execute]] or [[pipeline]]"
                ))
            },
            Ok,
        )
    }

    /// What a command removes must be the resource's own; what it makes is recorded so before it starts.
    fn own_what_it_changes(&self, declared: &Template, filled: &Filled) -> Answer<()> {
        for group in &declared.inside {
            self.check_runs(group, &Instance::Backend)?;
        }
        for (root, place) in declared.destroys.iter().filter_map(|slot| filled.places.get(slot)) {
            self.check_place_owned(root, place)?;
        }
        for (root, place) in declared.creates.iter().filter_map(|slot| filled.places.get(slot)) {
            if place.is_source || place.is_managed {
                return deny("a source may be read, never changed", "nothing");
            }
            self.record_owned(root, place);
        }
        Ok(())
    }

    fn answer(&self, command: Command) -> Answer<Output> {
        self.commands.borrow_mut().push(command.clone());
        let answer = self.answers.borrow().get(command.template()).cloned();
        match answer {
            Some(answer) => (answer.0)(&command),
            None => fail(
                CapabilityCode::Unavailable,
                format!(
                    "the test does not say what {} does: use Lab::answer or Lab::run_for_real",
                    command.template()
                ),
            ),
        }
    }

    fn job_key(&self, name: &str, key: &str) -> Answer<JobKey> {
        if !self.manifest.running.jobs.contains_key(name) {
            return invalid(format!("no job '{name}' is declared; declare it as [[job]]"));
        }
        if key.is_empty() || key.len() > 255 {
            return invalid("a job's key is 1 to 255 bytes long");
        }
        Ok((self.target().resource(None)?, name.to_owned(), key.to_owned()))
    }

    pub(super) fn start_job(&self, name: &str, key: &str, slots: Slots) -> Answer<job::State> {
        let known = self.job_key(name, key)?;
        let runs = self.manifest.running.jobs.get(name).map_or("", String::as_str);
        let declared = self.command(runs)?;
        let found = self.jobs.borrow().get(&known).cloned();
        if let Some(found) = found {
            let filled = self.fill_looking(Look::Nowhere, runs, declared, slots)?;
            return found_job(found, &Command::new(runs, declared, filled));
        }
        let filled = self.fill(runs, declared, slots)?;
        let running =
            self.jobs.borrow().values().filter(|job| matches!(job.state, job::State::Running(_))).count();
        if running >= MOST_JOBS {
            return fail(CapabilityCode::Busy, format!("{MOST_JOBS} jobs of this backend run already"));
        }
        self.own_what_it_changes(declared, &filled)?;
        let command = Command::new(runs, declared, filled);
        let state = if self.jobs_run_on.get() {
            job::State::Running(job::Progress::default())
        } else {
            ended(self.answer(command.clone()))?
        };
        self.jobs.borrow_mut().insert(known, Job { command, state: state.clone() });
        Ok(state)
    }

    pub(super) fn poll_job(&self, name: &str, key: &str) -> Answer<job::State> {
        let known = self.job_key(name, key)?;
        let found = self.jobs.borrow().get(&known).map(|job| job.state.clone());
        found.map_or_else(|| fail(CapabilityCode::NotFound, format!("no job {name} under '{key}'")), Ok)
    }

    pub(super) fn job_entries(&self) -> Answer<Vec<job::Entry>> {
        let subject = self.target().resource(None)?;
        let jobs = self.jobs.borrow();
        let own = jobs.iter().filter(|((of, _, _), _)| *of == subject);
        Ok(own
            .map(|((_, name, key), job)| job::Entry {
                name: name.clone(),
                key: key.clone(),
                state: job.state.clone(),
            })
            .collect())
    }

    pub(super) fn cancel_job(&self, name: &str, key: &str) -> Answer<()> {
        let known = self.job_key(name, key)?;
        if let Some(job) = self.jobs.borrow_mut().get_mut(&known)
            && matches!(job.state, job::State::Running(_))
        {
            let exit = CommandExit { signal: Some(9), ..CommandExit::default() };
            job.state = job::State::Failed(job::Exit { exit, ..job::Exit::default() });
        }
        Ok(())
    }

    pub(super) fn forget_job(&self, name: &str, key: &str) -> Answer<()> {
        let known = self.job_key(name, key)?;
        let mut jobs = self.jobs.borrow_mut();
        if jobs.get(&known).is_some_and(|job| matches!(job.state, job::State::Running(_))) {
            return fail(CapabilityCode::Busy, format!("job {name} under '{key}' runs: cancel it first"));
        }
        jobs.remove(&known);
        Ok(())
    }

    /// Let the jobs that run end as the test answers what they run.
    pub(super) fn end_jobs(&self) -> Answer<()> {
        let running: Vec<(JobKey, Command)> = {
            let jobs = self.jobs.borrow();
            let running = jobs.iter().filter(|(_, job)| matches!(job.state, job::State::Running(_)));
            running.map(|(key, job)| (key.clone(), job.command.clone())).collect()
        };
        for (key, command) in running {
            let state = ended(self.answer(command))?;
            if let Some(job) = self.jobs.borrow_mut().get_mut(&key) {
                job.state = state;
            }
        }
        Ok(())
    }

    /// The jobs that run are lost: nobody sees them end.
    pub(super) fn lose_jobs(&self) {
        for job in self.jobs.borrow_mut().values_mut() {
            if matches!(job.state, job::State::Running(_)) {
                job.state = job::State::Lost;
            }
        }
    }
}

fn found_job(found: Job, wanted: &Command) -> Answer<job::State> {
    if matches!(found.state, job::State::Running(_)) && found.command != *wanted {
        return fail(CapabilityCode::Conflict, "a job runs under this key with other slots");
    }
    Ok(found.state)
}

/// How a job ends whose command was answered so. What is no end of a command fails its start.
fn ended(answer: Answer<Output>) -> Answer<job::State> {
    match answer {
        Ok(output) => {
            let exit = CommandExit {
                exit_code: Some(0),
                signal: None,
                stdout: output.stdout,
                stderr: output.stderr,
            };
            Ok(job::State::Succeeded(job::Exit { exit, ..job::Exit::default() }))
        }
        Err(error) => job_failure(&error).ok_or(error),
    }
}

fn job_failure(error: &CapabilityError) -> Option<job::State> {
    let exit = error.exit()?.clone();
    Some(job::State::Failed(job::Exit { exit, ..job::Exit::default() }))
}
