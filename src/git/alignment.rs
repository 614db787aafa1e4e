//! What two sequences have in common, whatever they consist of: the algorithm works on numbers, so that the program has it once.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use similar::DiffOp;
use similar::algorithms::{Capture, Compact, Replace, myers};

/// The steps from `old` to `new`, as Myers finds them.
pub(super) fn steps<T: Eq + Hash>(old: &[T], new: &[T]) -> Vec<DiffOp> {
    let mut known = HashMap::with_capacity_and_hasher(old.len() + new.len(), RandomState::default());
    let (old, new) = (numbered(old, &mut known), numbered(new, &mut known));
    between(&old, &new)
}

/// The algorithm is called by its name: one that a value chooses brings all the others into the program.
fn between(old: &[usize], new: &[usize]) -> Vec<DiffOp> {
    let mut captured = Compact::new(Replace::new(Capture::new()), old, new);
    let Ok(()) = myers::diff(&mut captured, old, 0..old.len(), new, 0..new.len());
    captured.into_inner().into_inner().into_ops()
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
    use similar::{Algorithm, DiffableStr, TextDiff, capture_diff_slices};

    use super::*;

    #[test]
    fn steps_are_those_between_the_elements_themselves() {
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        for (old, new) in [("a b c", "a c"), ("a", "b a a"), ("x y x y z", "y x z z"), ("a b", "a b"), ("p q r s", "s r q p")] {
            let (old, new) = (words(old), words(new));
            assert_eq!(steps(&old, &new), capture_diff_slices(Algorithm::Myers, &old, &new));
        }
    }

    #[test]
    fn steps_between_lines_are_those_of_a_text() {
        let text = |step: usize, lines: usize| (0..lines).map(|at| format!("{}\n", at * step * at % 23)).collect::<String>();
        for (old, new) in [(3, 5), (1, 20), (200, 201), (150, 0), (90, 130)].map(|(old, new)| (text(old + 1, old), text(new + 2, new))) {
            let lines = steps(&old.as_str().tokenize_lines(), &new.as_str().tokenize_lines());
            assert_eq!(lines, TextDiff::from_lines(&old, &new).ops());
        }
    }
}
