//! How far a share is that the backend makes or reverts by itself.

use super::Breach;
use super::location::{LocationRights, locations_from_wit};
use crate::bindings::v0_1::bulkhead::driver::share_status::ShareProgress as WitProgress;
use bulkhead_model::share::{FinishedShare, ShareProgress};
use bulkhead_model::size::Gibibytes;

/// An answer of `share-status`, all of it sound or none.
pub(crate) fn progress_from_wit(
    rights: &LocationRights,
    progress: WitProgress,
) -> Result<ShareProgress, Breach> {
    Ok(match progress {
        WitProgress::Pending(percent) => {
            let sound = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
            let unsound = || Breach(format!("share-progress.pending is 0 to 100 percent, not {percent}"));
            ShareProgress::Pending(sound.ok_or_else(unsound)?)
        }
        WitProgress::Available(finished) => ShareProgress::Available(FinishedShare {
            export_locations: finished
                .export_locations
                .map(|locations| locations_from_wit(rights, locations))
                .transpose()?,
            size: finished
                .size_gib
                .map(Gibibytes::new)
                .transpose()
                .map_err(|error| Breach(format!("finished-share.size-gib: {error}")))?,
        }),
        WitProgress::Failed => ShareProgress::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::location::tests::{location, rights};
    use super::*;
    use crate::bindings::v0_1::bulkhead::driver::share_status::FinishedShare as WitFinished;

    #[test]
    fn progress_is_a_percentage() {
        let pending = |percent| progress_from_wit(&rights(), WitProgress::Pending(percent));
        assert_eq!(pending(0), Ok(ShareProgress::Pending(0)));
        assert_eq!(pending(100), Ok(ShareProgress::Pending(100)));
        assert!(pending(101).is_err());
        assert!(pending(u32::MAX).is_err());
    }

    #[test]
    fn a_finished_share_has_a_sound_size_and_is_where_the_grant_allows() {
        let finished = |path: Option<&str>, size_gib| {
            let export_locations = path.map(|path| vec![location(path)]);
            progress_from_wit(&rights(), WitProgress::Available(WitFinished { export_locations, size_gib }))
        };
        assert!(finished(Some("10.0.0.5:/a"), Some(3)).is_ok());
        assert!(matches!(
            finished(None, None),
            Ok(ShareProgress::Available(found)) if found == FinishedShare::default()
        ));
        assert!(finished(Some("10.9.9.9:/a"), None).is_err());
        assert!(finished(None, Some(0)).is_err());
        assert!(finished(None, Some(u64::MAX)).is_err());
    }
}
