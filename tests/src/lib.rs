//! Tests that see the whole house: what no single crate can show. Each file and folder of `tests/` is one subject.
