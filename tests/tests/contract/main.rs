//! The contract in `wit/`, held against what was promised about it: every item documented, every shape within the rules, every method of
//! Manila's driver class given a home, every behaviour of Manila's shown by a test or left out for a reason.

#[cfg(test)]
mod behaviours;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod package;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod table;
#[cfg(test)]
mod text;
