//! Which of the pools that would do is the best: the one with the most room and the best score of its goodness function, both scaled to 0
//! to 1 over the pools that are left, and summed (contract 4.11). Pure.

use bulkhead_model::share::Placement;
use serde::Serialize;

/// A pool that would do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) placement: Placement,
    /// The room it has, in GiB; none if it cannot tell, which is less than any.
    pub(crate) room_gib: Option<f64>,
    /// The score of its goodness function, 0 to 100.
    pub(crate) goodness: f64,
}

/// A pool that would do, beside the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeighedPool {
    /// Which.
    #[serde(flatten)]
    pub placement: Placement,
    /// The room it has after its reserves, in GiB; none if it cannot tell.
    pub room_gib: Option<f64>,
    /// The score of its goodness function, 0 to 100.
    pub goodness: f64,
    /// What counts, 0 to 2.
    pub weight: f64,
}

/// Weigh, best first; of equals those that came first stay first.
pub(super) fn weigh(candidates: Vec<Candidate>) -> Vec<WeighedPool> {
    let smallest = candidates.iter().filter_map(|one| one.room_gib).reduce(f64::min).unwrap_or(0.0);
    let room = scaled(candidates.iter().map(|one| one.room_gib.unwrap_or(smallest - 1.0)).collect());
    let goodness = scaled(candidates.iter().map(|one| one.goodness).collect());
    let mut weighed: Vec<_> = candidates
        .into_iter()
        .zip(room.into_iter().zip(goodness))
        .map(|(Candidate { placement, room_gib, goodness }, (by_room, by_goodness))| WeighedPool {
            placement,
            room_gib,
            goodness,
            weight: by_room + by_goodness,
        })
        .collect();
    weighed.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    weighed
}

/// From 0 for the smallest to 1 for the greatest; all 0 if all are equal.
fn scaled(values: Vec<f64>) -> Vec<f64> {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = greatest - smallest;
    let scale = |value: f64| if width > 0.0 { (value - smallest) / width } else { 0.0 };
    values.into_iter().map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(pool: &str, room_gib: Option<f64>, goodness: f64) -> Candidate {
        let placement = Placement { backend: "nas".parse().expect("a name"), pool: Some(pool.to_owned()) };
        Candidate { placement, room_gib, goodness }
    }

    fn order(candidates: Vec<Candidate>) -> Vec<String> {
        weigh(candidates).into_iter().filter_map(|weighed| weighed.placement.pool).collect()
    }

    #[test]
    fn more_room_is_better_and_no_known_room_is_worst() {
        let all = vec![
            candidate("unknown", None, 0.0),
            candidate("small", Some(10.0), 0.0),
            candidate("large", Some(100.0), 0.0),
        ];
        assert_eq!(order(all), ["large", "small", "unknown"]);
    }

    #[test]
    fn goodness_counts_as_much_as_room() {
        let all = vec![
            candidate("large", Some(100.0), 0.0),
            candidate("good", Some(60.0), 100.0),
            candidate("small", Some(0.0), 90.0),
        ];
        assert_eq!(order(all), ["good", "large", "small"]);
    }

    #[test]
    fn equals_stay_in_their_order() {
        let all = vec![candidate("a", Some(5.0), 50.0), candidate("b", Some(5.0), 50.0)];
        let weighed = weigh(all);
        assert!(weighed.iter().all(|one| one.weight == 0.0));
        assert_eq!(weighed.first().and_then(|one| one.placement.pool.as_deref()), Some("a"));
        assert_eq!(order(vec![candidate("a", None, 0.0), candidate("b", None, 0.0)]), ["a", "b"]);
    }
}
