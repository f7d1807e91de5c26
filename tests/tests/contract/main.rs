//! The contract in `wit/`, held against what was promised about it: every item documented, every shape within the rules, every method of
//! Manila's driver class given a home.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod package;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod text;
