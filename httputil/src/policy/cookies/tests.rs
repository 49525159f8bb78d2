use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn set(jar: &Jar, from: &str, line: &str) {
    jar.take(&url(from), &[HeaderValue::from_bytes(line.as_bytes()).unwrap()]);
}

fn given(jar: &Jar, to: &str) -> String {
    let value = jar.give(&url(to));
    value.map_or_else(String::new, |value| {
        assert!(value.is_sensitive());
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    })
}

/// What goes to a URL after this was set from another.
fn after(from: &str, line: &str, to: &str) -> String {
    let jar = Jar::default();
    set(&jar, from, line);
    given(&jar, to)
}

#[test]
fn a_cookie_goes_to_its_host_and_below_its_path_only() {
    let a = "https://app.example.com/in/page";
    for (line, to, goes) in [
        ("k=v", "https://app.example.com/in/other", true),
        ("k=v", "https://app.example.com/in", true),
        ("k=v", "https://app.example.com/", false),
        ("k=v", "https://app.example.com/inner", false),
        ("k=v", "https://www.example.com/in/", false),
        ("k=v", "https://example.com/in/", false),
        ("k=v", "https://deep.app.example.com/in/", false),
        ("k=v; Path=/", "https://app.example.com/", true),
        ("k=v; Path=/", "http://app.example.com/", true),
        (
            "k=v; Path=/; Domain=app.example.com",
            "https://deep.app.example.com/",
            true,
        ),
        ("k=v; Path=/; Domain=.Example.COM", "https://www.example.com/", true),
        ("k=v; Path=/; Domain=example.com", "https://badexample.com/", false),
        (
            "k=v; Path=/; Domain=example.com",
            "https://example.com.evil.net/",
            false,
        ),
        ("k=v; Path=/; Domain=", "https://www.example.com/", false),
        ("k=v; Path=/; Domain=.", "https://app.example.com/", true),
    ] {
        let expected = if goes { "k=v" } else { "" };
        assert_eq!(after(a, line, to), expected, "{line} to {to}");
    }
}

#[test]
fn no_cookie_is_for_a_public_suffix_another_party_an_address_or_a_trailing_dot() {
    for (from, domain) in [
        ("https://a.com/", "com"),
        ("https://a.co.uk/", "co.uk"),
        ("https://a.github.io/", "github.io"),
        ("https://a.xn--80au.xn--90a3ac/", "xn--80au.xn--90a3ac"),
        ("https://a.xn--80au.xn--90a3ac/", "ак.срб"),
        ("https://a.ck/", "ck"),
        ("https://a.internal/", "internal"),
        ("https://a.example.com/", "b.example.com"),
        ("https://a.example.com/", "deep.a.example.com"),
        ("https://a.example.com/", "ample.com"),
        ("https://a.example.com/", "example.com."),
        ("https://a.example.com./", "example.com."),
        ("https://a.example.com./", "com."),
        ("https://a.example.com./", "example.com"),
        ("https://a.example.com/", ".."),
        ("https://a.example.com/", "..example.com"),
        ("http://127.0.0.1/", "0.0.1"),
        ("http://127.0.0.1/", "1"),
        ("http://127.0.0.1/", "127.0.0.2"),
        ("http://[::1]/", "[::2]"),
        ("http://[::1]/", "1]"),
    ] {
        assert_eq!(
            after(from, &format!("k=v; Path=/; Domain={domain}"), from),
            "",
            "{domain} from {from}"
        );
    }
    // Said of itself it is the host's own, and nobody else's.
    for (from, domain, other) in [
        ("https://github.io/", "github.io", "https://a.github.io/"),
        ("http://localhost/", "localhost", "http://a.localhost/"),
        ("http://127.0.0.1/", "127.0.0.1", "http://a.127.0.0.1.nip.io/"),
        ("http://127.0.0.1/", "0x7f.1", "http://127.0.0.2/"),
        ("http://[::1]/", "[::1]", "http://[::2]/"),
    ] {
        let line = format!("k=v; Path=/; Domain={domain}");
        assert_eq!(after(from, &line, from), "k=v", "{domain}");
        assert_eq!(after(from, &line, other), "", "{domain}");
    }
    let socket = "http+unix://%2Frun%2Fapp.sock/";
    assert_eq!(after(socket, "k=v", socket), "", "a socket is no host");
}

#[test]
fn what_is_secure_comes_from_https_and_goes_to_https() {
    let (safe, open) = ("https://a.test/", "http://a.test/");
    assert_eq!(after(safe, "k=v; Secure", safe), "k=v");
    assert_eq!(after(safe, "k=v; Secure", open), "");
    assert_eq!(after(open, "k=v; Secure", safe), "");
    // Nor where a browser would look away.
    assert_eq!(after("http://localhost/", "k=v; Secure", "http://localhost/"), "");
    assert_eq!(after("https://127.0.0.1/", "k=v; Secure", "http://127.0.0.1/"), "");
    let jar = Jar::default();
    set(&jar, safe, "k=safe; Secure; Path=/in");
    for line in [
        "k=evil",
        "k=evil; Path=/in/deep",
        "k=; Path=/in; Max-Age=0",
        "other=fine",
    ] {
        set(&jar, open, line);
    }
    assert_eq!(given(&jar, "https://a.test/in/deep"), "k=safe; other=fine");
}

#[test]
fn a_prefix_keeps_what_it_promises() {
    let from = "https://a.example.com/in/page";
    for (line, is_kept) in [
        ("__Host-k=v; Secure; Path=/", true),
        ("__host-k=v; Secure; Path=/", true),
        ("__Host-k=v; Path=/", false),
        ("__Host-k=v; Secure", false),
        ("__Host-k=v; Secure; Path=/in", false),
        ("__HOST-k=v; Secure; Path=/; Domain=a.example.com", false),
        ("__Secure-k=v; Secure; Path=/", true),
        ("__Secure-k=v; Secure; Path=/; Domain=example.com", true),
        ("__sEcure-k=v; Path=/", false),
    ] {
        assert_eq!(!after(from, line, from).is_empty(), is_kept, "{line}");
    }
}

#[test]
fn what_is_no_cookie_is_not_kept() {
    let from = "https://a.test/";
    let long = "v".repeat(LARGEST);
    for line in [
        "",
        "k",
        "=v",
        "=__Host-k=v",
        "k=a\tb",
        &format!("k={long}"),
        &format!("k=v; Path=/{long}"),
        &format!("k=v; Note={long}{long}"),
    ] {
        assert_eq!(after(from, line, from), "", "{line:.20}");
    }
    let jar = Jar::default();
    jar.take(&url(from), &[HeaderValue::from_bytes(b"k=\xff").unwrap()]);
    assert_eq!(jar.size(), (0, 0));
    assert!(jar.sites().by_name.is_empty());
}

#[test]
fn a_cookie_is_replaced_and_taken_back_and_the_longest_path_goes_first() {
    let (from, to) = ("https://a.test/in/deep/page", "https://a.test/in/deep/x");
    let jar = Jar::default();
    for line in [
        "a=1; Path=/",
        "b=2; Path=/in",
        "c=3; Path=/",
        "a=4; Path=/in/deep",
        "a=5; Path=/",
    ] {
        set(&jar, from, line);
    }
    assert_eq!(given(&jar, to), "a=4; b=2; a=5; c=3");
    set(&jar, from, "a=; Path=/; Max-Age=0");
    set(&jar, from, "b=; Path=/in; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    set(&jar, from, "c=6; Path=/; Max-Age=-1");
    assert_eq!(given(&jar, to), "a=4");
    set(&jar, from, "a=; Path=/in/deep; Max-Age=0");
    assert_eq!((given(&jar, to).as_str(), jar.size()), ("", (0, 0)));
    // A number beyond all times is a late time.
    set(&jar, from, "d=1; Max-Age=99999999999999999999999999");
    assert_eq!(given(&jar, to), "d=1");
}

#[test]
fn a_site_keeps_its_newest_cookies_within_number_and_size() {
    let jar = Jar::default();
    for number in 0..1000 {
        set(
            &jar,
            "https://a.example.com/",
            &format!("k{number}=v; Domain=example.com"),
        );
    }
    assert_eq!(jar.size().0, MOST_OF_SITE);
    let text = given(&jar, "https://b.example.com/");
    assert!(text.starts_with("k820=v; ") && text.ends_with("; k999=v"), "{text}");
    let big = "v".repeat(4000);
    for number in 0..100 {
        set(&jar, "https://a.example.com/", &format!("b{number}={big}"));
        assert!(jar.size().1 <= LARGEST_OF_SITE);
    }
    // One that has expired goes before the oldest.
    let jar = Jar::default();
    set(&jar, "https://a.test/", "first=v");
    set(&jar, "https://a.test/", "brief=v; Max-Age=1");
    for number in 2..MOST_OF_SITE {
        set(&jar, "https://a.test/", &format!("k{number}=v"));
    }
    let expired = |jar: &Jar| {
        jar.sites().by_name["a.test"]
            .store
            .get("a.test", "/", "brief")
            .is_none()
    };
    while !expired(&jar) {
        std::thread::yield_now();
    }
    set(&jar, "https://a.test/", "last=v");
    assert_eq!(jar.size().0, MOST_OF_SITE);
    assert!(given(&jar, "https://a.test/").starts_with("first=v; k2=v"));
}

#[test]
fn many_thousand_sites_leave_the_jar_as_large_as_it_may_be() {
    let jar = Jar::default();
    set(&jar, "https://own.test/", "own=v");
    for number in 0..20_000 {
        set(&jar, &format!("https://s{number}.test/"), "k=v");
        if number % 1000 == 0 {
            assert_eq!(given(&jar, "https://own.test/"), "own=v", "it is in use");
        }
    }
    assert!((MOST / 10 * 9..=MOST).contains(&jar.size().0));
    let big = "v".repeat(4000);
    for number in 0..2000 {
        set(&jar, &format!("https://b{number}.test/"), &format!("k={big}"));
    }
    assert!(jar.size().1 <= LARGEST_OF_ALL);
}
