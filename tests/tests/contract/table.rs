//! The tables of the pages that are made here.

use std::fmt::Write as _;

pub(crate) fn heading_and_columns(text: &mut String, heading: &str, columns: &[&str]) {
    write!(text, "\n## {heading}\n\n").expect("text can be written to memory");
    line(text, columns);
    line(text, &vec!["---"; columns.len()]);
}

pub(crate) fn line(text: &mut String, cells: &[&str]) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("text can be written to memory");
}
