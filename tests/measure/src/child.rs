//! The other peer: a driver in a long-lived process that reads and answers lines of JSON.

use crate::record::{Answer, Request, serve};
use anyhow::Context;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The process and its pipes.
pub(crate) struct JsonChild {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
}

impl JsonChild {
    /// Start it.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve-lines")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the peer cannot be started")?;
        let input = child.stdin.take().context("its standard input")?;
        let output = BufReader::new(child.stdout.take().context("its standard output")?);
        Ok(Self { _child: child, input, output, line: String::new() })
    }

    /// One call.
    pub(crate) async fn call(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.line.clear();
        self.output.read_line(&mut self.line).await?;
        Ok(serde_json::from_str(&self.line)?)
    }
}

/// Answer line by line until the input ends.
pub(crate) fn serve_lines() -> anyhow::Result<()> {
    use std::io::{BufRead, Write};
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let mut answer = serde_json::to_vec(&serve(&request))?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}
