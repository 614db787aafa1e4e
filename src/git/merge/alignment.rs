//! What two sequences have in common, whatever they consist of: the algorithm works on numbers, so that a program has it once.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// The steps from `old` to `new`, as Myers finds them.
pub(super) fn steps<T: Eq + Hash>(old: &[T], new: &[T]) -> Vec<DiffOp> {
    let mut known = HashMap::with_capacity_and_hasher(old.len() + new.len(), RandomState::default());
    let (old, new) = (numbered(old, &mut known), numbered(new, &mut known));
    capture_diff_slices(Algorithm::Myers, &old, &new)
}

/// Equal elements get equal numbers.
fn numbered<'t, T: Eq + Hash>(elements: &'t [T], known: &mut HashMap<&'t T, usize, RandomState>) -> Vec<usize> {
    let number = |element: &'t T| {
        let next = known.len();
        *known.entry(element).or_insert(next)
    };
    elements.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_between_the_elements_themselves() {
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        for (old, new) in [("a b c", "a c"), ("a", "b a a"), ("x y x y z", "y x z z"), ("a b", "a b"), ("p q r s", "s r q p")] {
            let (old, new) = (words(old), words(new));
            assert_eq!(steps(&old, &new), capture_diff_slices(Algorithm::Myers, &old, &new));
        }
    }
}
