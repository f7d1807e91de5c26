//! The capabilities with fakes around them: no wasm, no daemon, no helper; real directories.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod addresses_by_hand;
#[cfg(test)]
mod claim;
mod clock;
#[cfg(test)]
mod commands_only;
#[cfg(test)]
mod config;
#[cfg(test)]
mod copying;
#[cfg(test)]
mod far;
#[cfg(test)]
mod files;
#[cfg(test)]
mod ganesha;
#[cfg(test)]
mod grant;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod log;
#[cfg(test)]
mod managed;
#[cfg(test)]
mod network_allocation;
#[cfg(test)]
mod ownership;
#[cfg(test)]
mod private_data;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod template;
