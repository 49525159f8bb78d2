//! Keys whose code this program was built without: refused by the name of the feature, wherever they are written.

#[cfg(not(feature = "cookies"))]
#[test]
fn cookies_that_were_not_built_in_are_refused_by_the_name_of_their_feature() {
    let in_code = httputil::Client::new(httputil::ClientConfig::default().cookies(true));
    let load = |text: &str| httputil::Config::builder().embedded("test.toml", text).load();
    let in_file = load("[default]\ncookies = true").unwrap_err();
    for error in [in_code.unwrap_err(), in_file] {
        assert_eq!(error.kind(), httputil::Kind::Config);
        let error = error.to_string();
        assert!(error.contains("default.cookies = true: "), "{error}");
        assert!(error.contains("turn on httputil's feature \"cookies\""), "{error}");
    }
    load("[default]\ncookies = false").unwrap();
}
