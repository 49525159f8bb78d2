//! Which key was meant by another, and whether it may as well be a word of its own.
//!
//! Several services may share a profile, so a key that this one does not read may be another's. A slip of the fingers
//! (letters changed, doubled, left out, turned around) is a mistake all the same; a plural, a number of another or another
//! short word may be meant.

/// What a key is to the one that it is near to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearness {
    /// It, misspelt.
    Slip,
    /// It, or a word of its own: `endpoints` beside `endpoint`.
    PerhapsAnother,
    /// It with other digits, which is seldom a mistake: `queue_1` beside `queue_2`.
    OtherDigits,
}

/// What makes another word of a word when it is put behind it.
const ENDINGS: [&str; 7] = ["s", "es", "d", "ed", "r", "er", "ing"];

/// The nearest of some keys, if one is near enough to be what was meant: for a key that is missing.
pub(super) fn nearest<'a>(key: &str, keys: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    keys.map(|other| (strsim::damerau_levenshtein(key, other), other))
        .filter(|(distance, other)| *distance <= 1.max(key.len().max(other.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// The key that was meant by one that nobody reads: the nearest. It refuses what may be another service's, so it is stricter
/// than [`nearest`].
pub(super) fn meant<'a>(written: &str, keys: impl Iterator<Item = &'a str>) -> Option<(&'a str, Nearness)> {
    keys.filter_map(|key| Some((key, nearness(written, key)?)))
        .min_by_key(|(key, nearness)| (*nearness != Nearness::Slip, strsim::osa_distance(written, key)))
}

/// How near `written` is to `meant`, word by word: `min_size` is not `max_size`, but `min_szie` is `min_size`.
fn nearness(written: &str, meant: &str) -> Option<Nearness> {
    let (written_words, meant_words) = (written.split('_'), meant.split('_'));
    if written_words.clone().count() != meant_words.clone().count() {
        // `batchsize`, `end_point`: the words are right and their joints are not.
        let (written, meant) = (written.replace('_', ""), meant.replace('_', ""));
        let is_near = strsim::osa_distance(&written, &meant) <= usize::from(meant.len() >= 8);
        return is_near.then_some(Nearness::Slip);
    }
    let without_digits = |text: &str| text.replace(|next: char| next.is_ascii_digit(), "");
    if without_digits(written) == without_digits(meant) {
        return Some(Nearness::OtherDigits);
    }
    let mut nearness = Nearness::PerhapsAnother;
    for (written, meant) in written_words
        .zip(meant_words)
        .filter(|(written, meant)| written != meant)
    {
        // A word of one or two letters is another word when one of them differs.
        if strsim::osa_distance(written, meant) > written.len().max(meant.len()) / 3 {
            return None;
        }
        if !is_perhaps_another(written, meant) {
            nearness = Nearness::Slip;
        }
    }
    Some(nearness)
}

/// Whether two words that are near may both be meant: one is the other with an ending, or they are short and begin
/// with another letter, `get` and `set`, where fingers seldom slip.
fn is_perhaps_another(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    match long.strip_prefix(short) {
        // `addresss`: a letter was struck twice.
        Some(ending) => ENDINGS.contains(&ending) && !short.ends_with(ending),
        None => short.len() == long.len() && long.len() <= 4 && short.get(1..) == long.get(1..),
    }
}

#[cfg(test)]
mod tests {
    use super::{Nearness, meant, nearness};

    #[test]
    fn letters_that_are_changed_doubled_left_out_or_turned_around_are_a_slip() {
        for (written, meant) in [
            ("endpont", "endpoint"),
            ("endpiont", "endpoint"),
            ("endpoin", "endpoint"),
            ("endpointt", "endpoint"),
            ("addresss", "address"),
            ("addres", "address"),
            ("end_point", "endpoint"),
            ("batchsize", "batch_size"),
            ("batch_szie", "batch_size"),
            ("bacth_sizes", "batch_size"),
            ("tennant", "tenant"),
            ("hosr", "host"),
            ("missing_3", "missing3"),
        ] {
            assert_eq!(nearness(written, meant), Some(Nearness::Slip), "{written} {meant}");
        }
    }

    #[test]
    fn a_plural_a_short_word_and_another_number_may_be_meant() {
        for (written, meant) in [
            ("endpoints", "endpoint"),
            ("endpoint", "endpoints"),
            ("batch_sizes", "batch_size"),
            ("urls", "url"),
            ("get_url", "set_url"),
            ("cached", "cache"),
        ] {
            assert_eq!(
                nearness(written, meant),
                Some(Nearness::PerhapsAnother),
                "{written} {meant}"
            );
        }
        for (written, meant) in [("queue_1", "queue_2"), ("count2", "count")] {
            assert_eq!(
                nearness(written, meant),
                Some(Nearness::OtherDigits),
                "{written} {meant}"
            );
        }
    }

    #[test]
    fn another_word_is_not_near() {
        for (written, meant) in [
            ("min_size", "max_size"),
            ("read_url", "write_url"),
            ("rx", "tx"),
            ("a_url", "b_url"),
            ("bucket", "endpoint"),
            ("url", "base_url"),
        ] {
            assert_eq!(nearness(written, meant), None, "{written} {meant}");
        }
    }

    #[test]
    fn the_nearest_key_was_meant_and_not_the_first_that_is_near() {
        let keys = ["missing", "missing2", "missing3"];
        let meant = |written| meant(written, keys.into_iter()).map(|(key, _)| key);
        assert_eq!(meant("mising3"), Some("missing3"));
        assert_eq!(meant("mising"), Some("missing"));
    }
}
