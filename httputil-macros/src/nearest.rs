//! What was probably meant.

/// The candidate nearest to `word`, if one is near enough to be a slip of the fingers.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(word.len().max(candidate.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_word_and_another_word_finds_nothing() {
        let known = ["client", "default", "profile", "setting"];
        for slip in ["profil", "porfile", "Profile", "profiles"] {
            assert_eq!(nearest(slip, known), Some("profile"), "{slip}");
        }
        assert_eq!(nearest("retries", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
