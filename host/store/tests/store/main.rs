//! The store from outside: one suite for every back end, and what only the one on disk has.
#![cfg(test)]

mod backup;
mod conformance;
mod crash;
mod disk;
mod power;
mod sqlite;
