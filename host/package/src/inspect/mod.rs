//! What a reviewer reads before a driver runs: everything it can reach, from its bytes alone.
//!
//! The report is plain data in a fixed order: two reports of one package are equal letter by letter, and two versions of a driver
//! can be compared as text.

mod attention;
mod guarantee;
mod http_report;
mod http_text;
mod place_report;
mod process_report;
mod process_text;
mod report;
mod text;

pub use http_report::{EndpointReport, RequestReport, SessionReport, SessionRequestReport};
pub use process_report::{DbusReport, GroupReport, JobReport, PipelineReport, ServiceReport};
pub use report::{
    CommandReport, ExportReport, FileReport, ImportReport, OptionReport, PathReport, ProgramReport, Report,
    RootReport, SecretReport, SlotReport,
};

#[cfg(test)]
mod tests;
