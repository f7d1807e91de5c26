//! The manager through its public face: a fake driver with a backend of its own, a store in memory.
#![expect(unreachable_pub, clippy::expect_used, reason = "a test ends where something is not as it must be")]

mod access;
mod backend;
mod begun;
mod concurrency;
mod crash;
mod fake;
mod fake_groups;
mod fake_migration;
mod fake_replicas;
mod generation;
mod generation_crash;
mod group;
mod group_crash;
mod group_snapshot;
mod group_type;
mod house;
mod managing;
mod migration;
mod migration_crash;
mod operation;
mod outage;
mod owner;
mod reconcile;
mod recovery;
mod replica;
mod replica_crash;
mod scheduler;
mod share;
mod share_type;
mod shelf;
mod simulation;
mod snapshot;
mod uneven;
