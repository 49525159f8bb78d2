//! Misuse: each file in `ui/` does not compile, with the message beside it. `TRYBUILD=overwrite` writes them anew.

#[test]
fn every_misuse_is_refused_in_words_that_mend_it() {
    trybuild::TestCases::new().compile_fail("tests/derive/ui/*.rs");
}
