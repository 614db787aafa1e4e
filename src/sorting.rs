//! Sorting lists of any type by one algorithm on numbers: the standard library's is compiled anew, at 4 KB, for every type.

use std::cmp::Ordering;

/// Sorts `list` by `compare`. What is equal stays in its order.
pub fn by<T>(list: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    for (one, other) in exchanges(list.len(), &|one, other| compare(&list[one], &list[other])) {
        list.swap(one, other);
    }
}

/// Sorts `list` by what `key` gives for each element. What is equal stays in its order.
pub fn by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    by(list, |one, other| key(one).cmp(&key(other)));
}

/// The pairs of places that bring `count` elements in order when their elements are exchanged, one pair after the other.
fn exchanges(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<(usize, usize)> {
    let mut from: Vec<usize> = (0..count).collect();
    from.sort_by(|one, other| compare(*one, *other));
    let mut exchanges = Vec::new();
    for first in 0..count {
        // What stands at `first` goes along to the end of its cycle.
        let (mut place, mut next) = (first, std::mem::replace(&mut from[first], first));
        while next != first {
            exchanges.push((place, next));
            place = next;
            next = std::mem::replace(&mut from[place], place);
        }
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn order_is_that_of_the_standard_library(keys in proptest::collection::vec(0u8..9, 0..60)) {
            let mut list: Vec<(u8, usize)> = keys.into_iter().enumerate().map(|(at, key)| (key, at)).collect();
            let mut expected = list.clone();
            expected.sort_by_key(|(key, _)| *key);
            by_key(&mut list, |(key, _)| *key);
            prop_assert_eq!(list, expected);
        }
    }
}
