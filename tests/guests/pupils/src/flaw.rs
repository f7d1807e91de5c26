//! What the driver is told to do wrong.

use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Error, Result, clock, config};

/// The key of a hold.
const HELD: &str = "held";

/// Whether the driver is told to do `flaw`.
pub(crate) fn has(flaw: &str) -> Result<bool> {
    Ok(config::text("flaw")?.is_some_and(|told| told == flaw))
}

/// Fail the second time.
pub(crate) fn once(owner: &Owner, what: &str) -> Result<()> {
    if private_data::get(owner, what)?.is_some() {
        return Err(Error::internal(format!("{what}: this was done already")));
    }
    private_data::set(owner, what, "done", Expected::Anything)?;
    Ok(())
}

/// Fail the second time, in the name of the whole backend.
pub(crate) fn once_per_backend(what: &str) -> Result<()> {
    once(&Owner::Backend, what)
}

/// Do the work of `function`; if the driver is told `holds-FUNCTION`, under a hold that only success takes away: whoever comes after a
/// failure finds it held.
pub(crate) fn held<T>(function: &str, owner: &Owner, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if !has(&format!("holds-{function}"))? {
        return work();
    }
    if private_data::get(owner, HELD)?.is_some() {
        return Err(Error::conflict("another call is at it"));
    }
    private_data::set(owner, HELD, "by a call", Expected::Anything)?;
    let done = work()?;
    private_data::remove(owner, HELD)?;
    Ok(done)
}

/// Fail if the driver is told to.
pub(crate) fn fail_if(flaw: &str) -> Result<()> {
    if has(flaw)? { Err(Error::internal("it does not feel like it")) } else { Ok(()) }
}

/// The flaw of a driver whose set-up begins anew, with work going on.
const FORGETFUL: &str = "set-up-forgets-what-goes-on";
/// What such a driver has written down of that work.
const GOING_ON: &str = "going on";

/// Work begins that goes on after this call.
pub(crate) fn goes_on() -> Result<()> {
    if has(FORGETFUL)? {
        private_data::set(&Owner::Backend, GOING_ON, "something", Expected::Anything)?;
    }
    Ok(())
}

/// Set up: a forgetful driver knows nothing of earlier work from now on, and one with epochs begins a new one.
pub(crate) fn begin_anew() -> Result<()> {
    if has(FORGETFUL)? {
        private_data::remove(&Owner::Backend, GOING_ON)?;
    }
    if has(EPOCHS)? {
        private_data::set(&Owner::Backend, EPOCH, &clock::new_id(), Expected::Anything)?;
    }
    Ok(())
}

/// The flaw of a driver that knows only what it has made since it was set up.
const EPOCHS: &str = "sound-until-set-up";
/// When that was.
const EPOCH: &str = "epoch";

/// Something is made in this epoch.
pub(crate) fn date(owner: &Owner) -> Result<()> {
    if has(EPOCHS)?
        && let Some(entry) = private_data::get(&Owner::Backend, EPOCH)?
    {
        private_data::set(owner, EPOCH, &entry.value, Expected::Anything)?;
    }
    Ok(())
}

/// Whether it was made in this epoch; always so unless the driver has epochs.
pub(crate) fn is_of_today(owner: &Owner) -> Result<bool> {
    if !has(EPOCHS)? {
        return Ok(true);
    }
    let epoch = |owner| Ok::<_, Error>(private_data::get(owner, EPOCH)?.map(|entry| entry.value));
    Ok(epoch(owner)? == epoch(&Owner::Backend)?)
}

/// Fails in a driver that has forgotten.
pub(crate) fn remember() -> Result<()> {
    if has(FORGETFUL)? && private_data::get(&Owner::Backend, GOING_ON)?.is_none() {
        return Err(Error::internal("nothing is known of such work"));
    }
    Ok(())
}

/// Write something down that nobody asked for.
pub(crate) fn note_for_backend(key: &str) -> Result<()> {
    private_data::set(&Owner::Backend, key, "noted", Expected::Anything)?;
    Ok(())
}
