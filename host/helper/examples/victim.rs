//! A program that misbehaves in the way it is told to: what the tests of the helper run as a command.

#![expect(unsafe_code, reason = "to ignore a signal takes a foreign function")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "it is run by tests, and what it prints is what they look at"
)]

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// C's `SIG_IGN`.
const IGNORE: usize = 1;

// SAFETY: as signal(2) declares it; a handler of `SIG_IGN` is never called.
unsafe extern "C" {
    safe fn signal(number: i32, handler: usize) -> usize;
}

const FOR_EVER: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit", code] => return ExitCode::from(code.parse().unwrap_or(255)),
        ["show", rest @ ..] => show(rest),
        ["sleep"] => std::thread::sleep(FOR_EVER),
        ["sleep-a-little"] => std::thread::sleep(Duration::from_millis(300)),
        ["flood", bytes] => flood(bytes.parse().unwrap_or(0)),
        ["flood-and-exit", bytes, code] => {
            flood(bytes.parse().unwrap_or(0));
            eprintln!("gave up");
            return ExitCode::from(code.parse().unwrap_or(255));
        }
        ["flood-and-sleep", bytes] => {
            flood(bytes.parse().unwrap_or(0));
            std::thread::sleep(FOR_EVER);
        }
        ["list", directory] => list(directory),
        ["copy-input"] => copy_input(),
        ["count-input"] => println!("{}", count_input(u64::MAX)),
        ["read-and-exit", bytes, code] => {
            count_input(bytes.parse().unwrap_or(0));
            eprintln!("gave up");
            return ExitCode::from(code.parse().unwrap_or(255));
        }
        ["daemons", count] => daemons(count.parse().unwrap_or(0)),
        ["hop", count] => hop(count.parse().unwrap_or(0)),
        ["leave-group", group] => leave_group(group),
        ["daemon-that-writes"] => start(&["write-for-ever"], Stdio::inherit()),
        ["write-for-ever"] => write_for_ever(),
        ["fork-bomb", depth] => fork_bomb(depth.parse().unwrap_or(0)),
        ["ignore-termination"] => ignore_termination(),
        ["stop-itself"] => signal_itself(rustix::process::Signal::STOP),
        ["die-by", "abort"] => signal_itself(rustix::process::Signal::ABORT),
        ["take-memory"] => take_memory(),
        _ => return ExitCode::from(254),
    }
    ExitCode::SUCCESS
}

/// Prints what the process was started with, a line each.
fn show(rest: &[&str]) {
    for word in rest {
        println!("argument {word}");
    }
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        println!("variable {}={}", name.to_string_lossy(), value.to_string_lossy());
    }
    let mut descriptors: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("the descriptors")
        .filter_map(|entry| {
            std::fs::read_link(entry.ok()?.path()).ok().map(|target| target.display().to_string())
        })
        .filter(|target| !target.starts_with("/proc/"))
        .collect();
    descriptors.sort();
    for descriptor in descriptors {
        println!("descriptor {descriptor}");
    }
    println!("directory {}", std::env::current_dir().expect("a directory").display());
    for line in std::fs::read_to_string("/proc/self/status").expect("the status").lines() {
        if line.starts_with("Cap") || line.starts_with("NoNewPrivs") || line.starts_with("Umask") {
            println!("status {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    println!("arguments-are {}", std::env::args().next().unwrap_or_default());
}

/// Prints what is in a directory, a name a line.
fn list(directory: &str) {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("a directory")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    for name in names {
        println!("{name}");
    }
}

fn flood(bytes: u64) {
    let block = [0xff_u8; 65_536];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        if std::io::stdout().write_all(&block[..part]).is_err() {
            return;
        }
        left -= u64::try_from(part).unwrap_or(left);
    }
}

fn copy_input() {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).expect("input");
    std::io::stdout().write_all(&bytes).expect("output");
}

/// Starts this program again in a session of its own, with its parent gone by the time anybody looks.
fn start(words: &[&str], output: Stdio) {
    let own = std::env::current_exe().expect("this program");
    Command::new(own)
        .args(words)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
}

/// Reads at least so many bytes, or until there are no more, and says how many there were.
fn count_input(wanted: u64) -> u64 {
    let mut block = vec![0; 65_536];
    let mut found = 0;
    while found < wanted {
        match std::io::stdin().read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(bytes) => found += u64::try_from(bytes).unwrap_or(0),
        }
    }
    found
}

fn daemons(count: u32) {
    let _own_session = rustix::process::setsid();
    if count == 0 {
        return std::thread::sleep(FOR_EVER);
    }
    start(&["daemons", &(count - 1).to_string()], Stdio::null());
}

/// Never stays in one process long enough to be looked at twice.
fn hop(count: u32) {
    let _own_session = rustix::process::setsid();
    if count > 0 {
        start(&["hop", &(count - 1).to_string()], Stdio::null());
    }
}

/// Moves into another cgroup, and leaves a process there.
fn leave_group(group: &str) {
    std::fs::write(group, std::process::id().to_string()).expect("another cgroup");
    start(&["daemons", "1"], Stdio::null());
}

fn write_for_ever() {
    let _own_session = rustix::process::setsid();
    while std::io::stdout().write_all(b"still here\n").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(FOR_EVER);
}

/// Two to the power of `depth` processes that sleep, each in its own session.
fn fork_bomb(depth: u32) {
    let _own_session = rustix::process::setsid();
    if depth > 0 {
        for _ in 0..2 {
            start(&["fork-bomb", &(depth - 1).to_string()], Stdio::null());
        }
    }
    std::thread::sleep(FOR_EVER);
}

fn ignore_termination() {
    signal(rustix::process::Signal::TERM.as_raw(), IGNORE);
    println!("ready");
    std::thread::sleep(FOR_EVER);
}

fn signal_itself(signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::getpid(), signal).expect("a signal");
    std::thread::sleep(FOR_EVER);
}

fn take_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(Vec::<u8>::with_capacity(1 << 30));
        std::hint::black_box(&taken);
    }
}
