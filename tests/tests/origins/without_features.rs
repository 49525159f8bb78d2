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

#[cfg(not(feature = "oauth2"))]
#[test]
fn tokens_whose_fetching_was_not_built_in_are_refused_by_the_name_of_their_feature() {
    let oauth2 = httputil::settings::OAuth2::new("https://login.test/token", "id", "canary");
    let config = httputil::ClientConfig::default().base_url("https://api.test");
    let in_code = httputil::Client::new(config.oauth2(oauth2));
    let keys = "token_url = \"https://login.test/token\"\nclient_id = \"id\"\nclient_secret = \"canary\"";
    let text = format!("[default]\nbase_url = \"https://api.test\"\n[default.auth.oauth2]\n{keys}");
    let in_file = httputil::Config::builder().embedded("test.toml", text).load();
    for error in [in_code.unwrap_err(), in_file.unwrap_err()] {
        assert_eq!(error.kind(), httputil::Kind::Config);
        let error = error.to_string();
        assert!(
            error.contains("default.auth.oauth2.token_url: this program was built without it"),
            "{error}"
        );
        assert!(
            error.contains("feature \"oauth2\"") && !error.contains("canary"),
            "{error}"
        );
    }
}
