//! The process `bulkhead-helper`: takes its connection from standard input, or waits for a daemon at a socket.

use bulkhead_helper::listen::listen;
use bulkhead_helper::{
    Lock, Policy, Reserved, Runtime, Server, Trees, ending_method, files, keep_group, keep_inside, keep_job,
};
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: bulkhead-helper [--lock FILE] [--policy FILE]                          the connection is standard input
       bulkhead-helper --stdio --runtime DIR [--policy FILE]                  the connection is standard input and output: over SSH
       bulkhead-helper [--lock FILE] --policy FILE --listen SOCKET --user UID  waits for a daemon of user UID
       bulkhead-helper --ending                                               says how commands are ended here

  --runtime DIR      keeps there what outlives it: without, it keeps no jobs and no services
  --without-groups   does not use cgroups though they could be made
";

#[derive(Debug, Default)]
struct Arguments {
    lock: Option<PathBuf>,
    policy: Option<PathBuf>,
    listen: Option<PathBuf>,
    user: Option<u32>,
    ending: bool,
    stdio: bool,
    without_groups: bool,
    runtime: Option<PathBuf>,
    keep_job: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = match keeper(&words) {
        Some(outcome) => outcome,
        None => {
            let Some(arguments) = parse(words.into_iter()) else {
                say(USAGE);
                return ExitCode::from(1);
            };
            run(&arguments)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::from(2)
        }
    }
}

/// What a helper starts its own program as, to keep a group of services or to work on files; none for every other use. Standard input is
/// the socket to it.
fn keeper(words: &[OsString]) -> Option<Result<(), Box<dyn Error>>> {
    let text = |words: &[OsString]| -> Vec<String> {
        words.iter().filter_map(|word| word.to_str().map(str::to_owned)).collect()
    };
    let (first, rest) = words.split_first()?;
    match (first.to_str()?, rest) {
        ("--keep-group", [record, group, network, tmpfs @ ..]) => {
            let network = Some(Path::new(network)).filter(|path| !path.as_os_str().is_empty());
            Some(keep_group(Path::new(record), Path::new(group), (network, &text(tmpfs))))
        }
        ("--serve-files", []) => Some(serve_files()),
        ("--keep-inside", tmpfs) => Some(keep_inside(&text(tmpfs))),
        _ => None,
    }
}

fn parse(mut words: impl Iterator<Item = OsString>) -> Option<Arguments> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.to_str()? {
            "--lock" => arguments.lock = Some(words.next()?.into()),
            "--policy" => arguments.policy = Some(words.next()?.into()),
            "--listen" => arguments.listen = Some(words.next()?.into()),
            "--user" => arguments.user = Some(words.next()?.to_str()?.parse().ok()?),
            "--stdio" => arguments.stdio = true,
            "--ending" => arguments.ending = true,
            "--runtime" => arguments.runtime = Some(words.next()?.into()),
            // How this process starts itself.
            "--keep-job" => arguments.keep_job = Some(words.next()?.into()),
            "--without-groups" => arguments.without_groups = true,
            _ => return None,
        }
    }
    let listens = arguments.listen.is_some();
    // A daemon of another user must not decide alone what its helper runs.
    let sound = listens == arguments.user.is_some() && (!listens || arguments.policy.is_some());
    // Two helpers of one daemon on another machine wait for each other there.
    let apart = !arguments.stdio || (arguments.runtime.is_some() && !listens && arguments.lock.is_none());
    (sound && apart).then_some(arguments)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.ending {
        writeln!(std::io::stdout(), "{}", ending_method())?;
        return Ok(());
    }
    let reserved = Reserved::take()?;
    let trees = if arguments.without_groups { Trees::prepare_without_groups()? } else { Trees::prepare()? };
    if let Some(runtime) = &arguments.keep_job {
        return keep_job(runtime, &trees.into_keeper()?).map_err(Into::into);
    }
    let mut lock_file = arguments.lock.clone();
    if let (true, Some(runtime)) = (arguments.stdio, &arguments.runtime) {
        make_runtime(runtime)?;
        lock_file = Some(runtime.join("lock"));
    }
    let lock = lock_file.as_deref().map_or(Ok(Lock::none()), Lock::open)?;
    let policy = arguments.policy.as_deref().map_or(Ok(Policy::of_the_daemon()), Policy::read)?;
    let mut server = Server::new(trees, lock, policy);
    if let Some(runtime) = &arguments.runtime {
        server = server.with_runtime(runtime.clone(), Runtime::open(&runtime.join("groups"))?);
    }
    match (&arguments.listen, arguments.user) {
        (Some(path), Some(user)) => match listen(&mut server, path, user, |error| report(error))? {},
        _ if arguments.stdio => server.serve(reserved.channel()?).map_err(Into::into),
        _ => server.serve(reserved.connection()?).map_err(Into::into),
    }
}

/// A directory for this user alone, where the helper finds what an earlier one wrote down.
fn make_runtime(runtime: &Path) -> std::io::Result<()> {
    match rustix::fs::mkdir(runtime, rustix::fs::Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(std::io::Error::other(format!(
            "'{}', where the helper writes down what outlives it, cannot be made: {error}; make its parent directory",
            runtime.display()
        ))),
    }
}

/// Be the worker of a helper. Standard input is the socket to it.
fn serve_files() -> Result<(), Box<dyn Error>> {
    let connection = std::io::stdin().as_fd().try_clone_to_owned()?;
    files::serve(connection.into())
}

/// An error with its causes, for whoever reads the daemon's standard error.
fn report(error: &dyn Error) {
    let mut text = format!("bulkhead-helper: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.push('\n');
    say(&text);
}

fn say(text: &str) {
    // Nobody can be told that nobody can be told.
    let _unheard = std::io::stderr().write_all(text.as_bytes()).is_err();
}
