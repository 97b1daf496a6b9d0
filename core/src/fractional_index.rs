//! Keys between keys: the order of elements, without moving any.
//!
//! Keys are texts that are ordered by their bytes, of the digits `0-9A-Za-z`: a whole number, whose first letter says
//! how many digits follow (`a0` to `a9`, `aA` …, `b00` …; `Zz` is before `a0`), and a fraction that does not end in `0`.
//! This is the form that Excalidraw's elements carry, so its keys and these can be mixed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Code;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Before this whole number there is none, so it needs a fraction.
const SMALLEST: &[u8; 27] = b"A00000000000000000000000000";

/// Whether this is a key.
pub fn is_key(key: &str) -> bool {
    let key = key.as_bytes();
    let Some((whole, fraction)) = split(key) else { return false };
    let digits = whole.iter().skip(1).chain(fraction).all(u8::is_ascii_alphanumeric);
    digits && fraction.last() != Some(&b'0') && key != SMALLEST
}

/// A key between two others; before the first or after the last where one is missing.
///
/// # Errors
/// [`Code::InvalidRequest`] when one of them is no key, or they don't ascend.
pub fn between(before: Option<&str>, after: Option<&str>) -> Result<String, Code> {
    let invalid = |key: Option<&str>| key.is_some_and(|key| !is_key(key));
    let descend = before.zip(after).is_some_and(|(before, after)| before >= after);
    if invalid(before) || invalid(after) || descend {
        return Err(Code::InvalidRequest);
    }
    let key = between_keys(before.map(str::as_bytes), after.map(str::as_bytes));
    // Of digits alone.
    key.and_then(|key| String::from_utf8(key).ok()).ok_or(Code::InvalidRequest)
}

/// So many keys between two others, ascending and short: the middle first.
///
/// # Errors
/// As for [`between`].
pub fn keys_between(before: Option<&str>, after: Option<&str>, count: usize) -> Result<Vec<String>, Code> {
    let mut keys = Vec::with_capacity(count);
    fill(before, after, count, &mut keys)?;
    Ok(keys)
}

/// What must change so that keys ascend strictly: as few of them as possible, given by their places and new keys. What
/// is no key is replaced; so are duplicates, and those that are out of order.
pub fn heal(keys: &[&str]) -> Vec<(usize, String)> {
    let kept = longest_ascending(keys);
    let mut healed = Vec::new();
    let mut from = 0_usize;
    for end in kept.iter().copied().map(Some).chain([None]) {
        let before = from.checked_sub(1).and_then(|place| keys.get(place).copied());
        let after = end.and_then(|end| keys.get(end).copied());
        let to = end.unwrap_or(keys.len());
        // What is kept ascends, so there is always something between.
        let between = keys_between(before, after, to - from).unwrap_or_default();
        healed.extend((from..to).zip(between));
        from = to + 1;
    }
    healed
}

/// Places of the most keys that ascend strictly as they are.
fn longest_ascending(keys: &[&str]) -> Vec<usize> {
    // For each length the chain of that length that ends lowest, by its last place.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = alloc::vec![None; keys.len()];
    for (place, key) in keys.iter().enumerate() {
        if !is_key(key) {
            continue;
        }
        let length = ends.partition_point(|end| keys[*end] < *key);
        before[place] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut chain: Vec<usize> =
        core::iter::successors(ends.last().copied(), |place| before[*place]).collect();
    chain.reverse();
    chain
}

fn fill(before: Option<&str>, after: Option<&str>, count: usize, keys: &mut Vec<String>) -> Result<(), Code> {
    if count == 0 {
        return Ok(());
    }
    if after.is_none() {
        // One after the other: these stay short, however many there are.
        let first = keys.len();
        keys.push(between(before, None)?);
        for place in first + 1..first + count {
            let next = between(keys.get(place - 1).map(String::as_str), None)?;
            keys.push(next);
        }
        return Ok(());
    }
    if before.is_none() {
        let first = keys.len();
        keys.push(between(None, after)?);
        for place in first + 1..first + count {
            let next = between(None, keys.get(place - 1).map(String::as_str))?;
            keys.push(next);
        }
        keys[first..].reverse();
        return Ok(());
    }
    let middle = between(before, after)?;
    fill(before, Some(&middle), count / 2, keys)?;
    keys.push(middle.clone());
    fill(Some(&middle), after, count - count / 2 - 1, keys)
}

fn between_keys(before: Option<&[u8]>, after: Option<&[u8]>) -> Option<Vec<u8>> {
    Some(match (before, after) {
        (None, None) => b"a0".to_vec(),
        (None, Some(after)) => {
            let (whole, fraction) = split(after)?;
            match decremented(whole) {
                _ if whole == SMALLEST => joined(whole, &middle(b"", Some(fraction))),
                _ if !fraction.is_empty() => whole.to_vec(),
                // `SMALLEST` itself is no key, but it is before all others with a fraction.
                Some(lower) if lower == SMALLEST => joined(&lower, &middle(b"", None)),
                Some(lower) => lower,
                None => return None,
            }
        }
        (Some(before), None) => {
            let (whole, fraction) = split(before)?;
            incremented(whole).unwrap_or_else(|| joined(whole, &middle(fraction, None)))
        }
        (Some(before), Some(after)) => {
            let (whole, fraction) = split(before)?;
            let (after_whole, after_fraction) = split(after)?;
            if whole == after_whole {
                return Some(joined(whole, &middle(fraction, Some(after_fraction))));
            }
            let next = incremented(whole).filter(|next| next.as_slice() < after);
            next.unwrap_or_else(|| joined(whole, &middle(fraction, None)))
        }
    })
}

/// The whole number and the fraction; `None` where the number is cut off.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = match key.first()? {
        head @ b'a'..=b'z' => head - b'a' + 1,
        head @ b'A'..=b'Z' => b'Z' - head + 1,
        _ => return None,
    };
    key.split_at_checked(usize::from(digits) + 1)
}

/// The next whole number; `None` after the largest.
fn incremented(whole: &[u8]) -> Option<Vec<u8>> {
    let (head, digits) = whole.split_first()?;
    let mut digits = digits.to_vec();
    for digit in digits.iter_mut().rev() {
        match DIGITS.get(value(*digit) + 1) {
            Some(next) => {
                *digit = *next;
                return Some(joined(&[*head], &digits));
            }
            None => *digit = b'0',
        }
    }
    match head {
        b'Z' => Some(b"a0".to_vec()),
        b'z' => None,
        // Numbers above zero get a digit more, those below one less.
        head if *head >= b'a' => Some(joined(&[head + 1], &[&*digits, b"0"].concat())),
        head => Some(joined(&[head + 1], &digits[1..])),
    }
}

/// The whole number before; `None` before the smallest.
fn decremented(whole: &[u8]) -> Option<Vec<u8>> {
    let (head, digits) = whole.split_first()?;
    let mut digits = digits.to_vec();
    for digit in digits.iter_mut().rev() {
        match value(*digit).checked_sub(1) {
            Some(lower) => {
                *digit = DIGITS[lower];
                return Some(joined(&[*head], &digits));
            }
            None => *digit = b'z',
        }
    }
    match head {
        b'a' => Some(b"Zz".to_vec()),
        b'A' => None,
        head if *head > b'a' => Some(joined(&[head - 1], &digits[1..])),
        head => Some(joined(&[head - 1], &[&*digits, b"z"].concat())),
    }
}

/// A fraction between two, the second of which may be missing: 1. Neither ends in `0`, nor does the result.
fn middle(before: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    let (mut before, mut after) = (before, after);
    let mut fraction = Vec::new();
    loop {
        let low = before.first().map_or(0, |digit| value(*digit));
        let high = after.map_or(DIGITS.len(), |after| after.first().map_or(0, |digit| value(*digit)));
        if high > low + 1 {
            fraction.push(DIGITS[(low + high).div_ceil(2)]);
            return fraction;
        }
        match after {
            // The same digit: what is between comes behind it.
            Some(rest) if high == low && !rest.is_empty() => after = rest.get(1..),
            // The next digit, which alone is below what has more.
            Some(rest) if rest.len() > 1 => {
                fraction.push(DIGITS[high]);
                return fraction;
            }
            _ => after = None,
        }
        fraction.push(DIGITS[low]);
        before = before.get(1..).unwrap_or_default();
    }
}

fn joined(a: &[u8], b: &[u8]) -> Vec<u8> {
    [a, b].concat()
}

/// The value of a digit; of anything else that of the largest.
fn value(digit: u8) -> usize {
    usize::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'Z' => digit - b'A' + 10,
        b'a'..=b'z' => digit - b'a' + 36,
        _ => 61,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(before: &str, after: &str) -> String {
        let given = |key| Some(key).filter(|key: &&str| !key.is_empty());
        between(given(before), given(after)).unwrap_or_default()
    }

    #[test]
    fn keys_are_those_that_excalidraws_elements_have() {
        for (before, after, expected) in [
            ("", "", "a0"),
            ("", "a0", "Zz"),
            ("", "Zz", "Zy"),
            ("a0", "", "a1"),
            ("az", "", "b00"),
            ("bzz", "", "c000"),
            ("a0", "a1", "a0V"),
            ("a1", "a2", "a1V"),
            ("a0V", "a1", "a0l"),
            ("Zz", "a0", "ZzV"),
            ("Zz", "a1", "a0"),
            ("", "Y00", "Xzzz"),
            ("bzz", "c001", "c000"),
            ("a0", "a0V", "a0G"),
            ("a0", "a0G", "a08"),
            ("b125", "b129", "b127"),
            ("a0", "a1V", "a1"),
            ("Zz", "a01", "a0"),
            ("", "a0V", "a0"),
            ("", "b999", "b99"),
            ("", "A000000000000000000000000001", "A000000000000000000000000000V"),
            ("zzzzzzzzzzzzzzzzzzzzzzzzzzy", "", "zzzzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("zzzzzzzzzzzzzzzzzzzzzzzzzzz", "", "zzzzzzzzzzzzzzzzzzzzzzzzzzzV"),
        ] {
            assert_eq!(key(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_is_no_key_and_what_does_not_ascend_is_refused() {
        let no_keys = ["", "a", "a00", "b0", "A00000000000000000000000000", "a0 ", "0", "é", "a1é"];
        for no_key in no_keys {
            assert!(!is_key(no_key), "{no_key}");
            assert_eq!(between(Some(no_key), None), Err(Code::InvalidRequest));
            assert_eq!(between(None, Some(no_key)), Err(Code::InvalidRequest));
        }
        assert_eq!(between(Some("a1"), Some("a0")), Err(Code::InvalidRequest));
        assert_eq!(between(Some("a1"), Some("a1")), Err(Code::InvalidRequest));
    }

    #[test]
    fn healing_moves_the_one_that_is_out_of_order_and_nothing_else() {
        assert_eq!(heal(&["a5", "a1", "a2", "a3"]), [(0, "a0".into())]);
        assert_eq!(heal(&["a1", "a2", "a2", "a3"]), [(1, "a1V".into())]);
        assert_eq!(heal(&["a1", "", "a2"]), [(1, "a1V".into())]);
        assert_eq!(heal(&["a1", "a2", "a3"]), []);
        assert_eq!(heal(&["", ""]), [(0, "a0".into()), (1, "a1".into())]);
        assert_eq!(heal(&[]), []);
    }

    fn any_key() -> impl Strategy<Value = String> {
        prop_oneof!["a[0-2]", "a[0-2][1-3]", "[YZb][0-9A-Za-z]{1,3}", "[0-9A-Za-z]{0,4}"]
    }

    fn ascends(keys: &[String]) -> bool {
        keys.is_sorted_by(|a, b| a < b) && keys.iter().all(|key| is_key(key))
    }

    proptest! {
        #[test]
        fn there_is_a_key_between_any_two(a in any_key(), b in any_key(), count in 0..40_usize) {
            let mut ends = [a, b];
            ends.sort();
            prop_assume!(ends[0] != ends[1] && ends.iter().all(|key| is_key(key)));
            for (before, after) in [(None, None), (Some(0), None), (None, Some(1)), (Some(0), Some(1))] {
                let [before, after] = [before, after].map(|place: Option<usize>| place.map(|place| ends[place].clone()));
                let keys = keys_between(before.as_deref(), after.as_deref(), count).unwrap();
                prop_assert_eq!(keys.len(), count);
                let all: Vec<String> = before.into_iter().chain(keys).chain(after).collect();
                prop_assert!(ascends(&all), "{:?}", all);
            }
        }

        #[test]
        fn however_often_something_is_put_between_there_is_room(places in prop::collection::vec(any::<u16>(), 1..200)) {
            let mut keys: Vec<String> = Vec::new();
            for place in places {
                let place = usize::from(place) % (keys.len() + 1);
                let before = place.checked_sub(1).map(|before| keys[before].as_str());
                let key = between(before, keys.get(place).map(String::as_str)).unwrap();
                keys.insert(place, key);
            }
            prop_assert!(ascends(&keys));
        }

        #[test]
        fn healing_leaves_strict_order_by_the_fewest_changes(keys in prop::collection::vec(any_key(), 0..9)) {
            let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
            let healed = heal(&texts);
            let mut result = keys.clone();
            healed.iter().for_each(|(place, key)| result[*place] = key.clone());
            prop_assert!(ascends(&result), "{:?} {:?}", keys, result);
            // By trying all subsets that could have been kept.
            let kept = (0..1_u32 << keys.len()).filter_map(|subset| {
                let kept: Vec<String> =
                    keys.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1).map(|(_, key)| key.clone()).collect();
                ascends(&kept).then_some(kept.len())
            });
            prop_assert_eq!(keys.len() - healed.len(), kept.max().unwrap_or(0));
        }

        #[test]
        fn no_text_makes_it_panic(a in "\\PC{0,30}", b in "[A-Za-z0-9]{0,30}") {
            let _ = (between(Some(&a), None), between(None, Some(&b)), between(Some(&b), Some(&a)), heal(&[&a, &b]));
        }
    }
}
