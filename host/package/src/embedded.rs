//! The files that the binary carries: each constant lists paths and texts.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
