//! The only way to stdout and stderr. A closed pipe ends the output, not the program.

use bulkhead_model::text::GuestText;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;
use std::cell::Cell;
use std::io::{self, Write};

/// The longest cell of a table, in bytes.
const LONGEST_CELL: usize = 4096;

/// Hands out stdout and stderr.
#[derive(Debug)]
pub(crate) struct Printer {
    /// Why data were lost: a full disk, not a reader who has seen enough.
    lost: Cell<Option<io::ErrorKind>>,
}

impl Printer {
    pub(super) const fn new() -> Self {
        Self { lost: Cell::new(None) }
    }

    /// Data, ending with a line end.
    pub(crate) fn data(&self, text: &str) {
        if let Err(error) = write(&mut io::stdout().lock(), text)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.lost.set(Some(error.kind()));
        }
    }

    /// Something for people on stderr: progress, a warning, what to do next.
    pub(crate) fn note(&self, text: &str) {
        // Nobody is left to tell if this fails.
        drop(write(&mut io::stderr().lock(), text));
    }

    /// Fails if data did not reach stdout.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        match self.lost.take() {
            Some(kind) => {
                Err(super::exit::Unexpected::error("the output could not be written", io::Error::from(kind)))
            }
            None => Ok(()),
        }
    }

    /// Data as JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.data(&serde_json::to_string_pretty(value)?);
        Ok(())
    }

    /// Objects as a table with these fields.
    pub(crate) fn table(&self, fields: &[&str], rows: &[Value]) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(fields.iter().map(|field| field.to_uppercase()));
        for row in rows {
            table.add_row(fields.iter().map(|field| cell(row.get(field).unwrap_or(&Value::Null))));
        }
        self.data(&table.trim_fmt());
    }

    /// Names with values, one a line.
    pub(crate) fn pairs(&self, pairs: &[(String, String)]) {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in pairs {
            self.data(&format!("{name:width$}  {}", GuestText::new(value, LONGEST_CELL)));
        }
    }
}

fn write(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(stream, "{text}{end}").and_then(|()| stream.flush())
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    GuestText::new(&text, LONGEST_CELL).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_steers_the_terminal() {
        assert_eq!(cell(&Value::from("a\u{1b}[2Jb")), "a\\u{1b}[2Jb");
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&Value::from(3)), "3");
    }
}
