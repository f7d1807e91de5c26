//! Real shares: btrfs pools, NFS-Ganesha, and clients with addresses of their own, each test on a machine of its own.

#![expect(clippy::indexing_slicing, reason = "test code: what is not there fails the test")]

mod by_hand;
