//! "Did you mean": the nearest of some known words. Used wherever a name that nobody declared is refused.

/// The known word nearest to `given`, if one is near enough to be a slip of the finger.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in a short word, a third of a longer one.
    let most = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(given, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, word)| word)
}

/// How many letters have to be put in, left out, exchanged or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(128).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_letter = None;
    for (row, letter) in left.chars().take(128).enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX / 2);
            let same = usize::from(letter != *other);
            let mut best =
                (at(&last, column) + same).min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column > 0
                && previous_letter == Some(*other)
                && right.get(column.saturating_sub(1)).copied() == Some(letter);
            if swapped {
                best = best.min(at(&before_last, column.saturating_sub(1)) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_letter = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_another_word_does_not() {
        let known = ["pattern", "program", "timeout"];
        assert_eq!(nearest("patern", known), Some("pattern"));
        assert_eq!(nearest("pattren", known), Some("pattern"));
        assert_eq!(nearest("tiemout", known), Some("timeout"));
        assert_eq!(nearest("banana", known), None);
    }

    #[test]
    fn a_swap_counts_as_one() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
