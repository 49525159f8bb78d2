//! Parents: in which order they count.

use crate::scenario::Scenario;

/// The seconds of the timeout that `profile` ends up with.
fn timeout(text: &str, profile: &str) -> u64 {
    let config = Scenario::main_file(text).config();
    config.profile(profile).unwrap().policy.timeout.unwrap().as_secs()
}

#[test]
fn a_value_comes_down_a_chain() {
    let text = "[a]\ntimeout = \"1s\"\n[b]\ninherits = \"a\"\n[c]\ninherits = \"b\"";
    assert_eq!(timeout(text, "c"), 1);
}

#[test]
fn a_child_beats_its_parent_and_a_parent_its_own() {
    let text = "[a]\ntimeout = \"1s\"\n[b]\ninherits = \"a\"\ntimeout = \"2s\"\n[c]\ninherits = \"b\"";
    assert_eq!(timeout(text, "c"), 2);
}

#[test]
fn of_two_parents_the_later_one_wins() {
    let text =
        "[a]\ntimeout = \"1s\"\n[b]\ntimeout = \"2s\"\n[c]\ninherits = [\"a\", \"b\"]\n[d]\ninherits = [\"b\", \"a\"]";
    assert_eq!((timeout(text, "c"), timeout(text, "d")), (2, 1));
}

#[test]
fn in_a_diamond_the_common_ancestor_counts_once_and_first() {
    // `left` says it, `right` does not: the common ancestor's value, come to by way of `right`, must not beat `left`.
    let text = "[top]\ntimeout = \"1s\"\n[left]\ninherits = \"top\"\ntimeout = \"2s\"\n[right]\ninherits = \"top\"\n\
                [bottom]\ninherits = [\"left\", \"right\"]";
    assert_eq!(timeout(text, "bottom"), 2);
}

#[test]
fn an_ancestor_named_again_as_a_parent_stays_before_its_child() {
    let text = "[top]\ntimeout = \"1s\"\n[child]\ninherits = \"top\"\ntimeout = \"2s\"\n\
                [bottom]\ninherits = [\"child\", \"top\"]";
    assert_eq!(timeout(text, "bottom"), 2);
}

#[test]
fn a_stronger_file_replaces_the_list_of_parents() {
    let scenario = Scenario::main_file("[a]\ntimeout = \"1s\"\n[b]\ntimeout = \"2s\"\n[c]\ninherits = \"a\"")
        .file("httputil.local.toml", "[c]\ninherits = [\"b\"]");
    assert_eq!(
        scenario
            .config()
            .profile("c")
            .unwrap()
            .policy
            .timeout
            .unwrap()
            .as_secs(),
        2
    );
}

#[test]
fn tables_of_settings_merge_and_lists_replace() {
    let text = "[a.settings]\none = 1\nlist = [1, 2]\n[b]\ninherits = \"a\"\n[b.settings]\ntwo = 2\nlist = [3]";
    let config = Scenario::main_file(text).config();
    assert_eq!(config.setting_keys("b").unwrap(), ["list", "one", "two"]);
    assert_eq!(config.setting::<Vec<u8>>("b", "list").unwrap(), Some(vec![3]));
}

#[test]
fn a_long_chain_is_an_error_and_not_an_overflow() {
    let mut text = "[a0]\n".to_owned();
    for index in 1..6_000 {
        text.extend([
            "[a",
            &index.to_string(),
            "]\ninherits = \"a",
            &(index - 1).to_string(),
            "\"\n",
        ]);
    }
    assert!(
        Scenario::main_file(&text)
            .messages()
            .contains(".inherits: more than 64 ancestors")
    );
}

#[test]
fn a_chain_of_fifty_is_fine() {
    let mut text = "[a0]\ntimeout = \"1s\"\n".to_owned();
    for index in 1..50 {
        text.extend([
            "[a",
            &index.to_string(),
            "]\ninherits = \"a",
            &(index - 1).to_string(),
            "\"\n",
        ]);
    }
    assert_eq!(timeout(&text, "a49"), 1);
}

#[test]
fn a_host_that_leads_elsewhere_is_taken_back_by_a_child() {
    let text = "[parent.dns.overrides]\n'a.test' = ['10.0.0.1']\n'b.test' = ['10.0.0.2']\n\
                [child]\ninherits = 'parent'\n[child.dns.overrides]\n'a.test' = []\n\
                [other]\ninherits = 'parent'\ndns.overrides = {}\n";
    let config = Scenario::main_file(text).config();
    let hosts = |profile: &str| {
        let overrides = config.profile(profile).unwrap().transport.dns.overrides;
        let led = overrides.into_iter().filter(|(_, addresses)| !addresses.is_empty());
        led.map(|(host, _)| host).collect::<Vec<_>>()
    };
    assert_eq!(hosts("child"), ["b.test"]);
    assert_eq!(hosts("other"), ["a.test", "b.test"]);
    // An empty table takes nothing away, and has set nothing.
    let explained = config.explain("other").unwrap();
    let places = &explained.key("dns.overrides").unwrap().places;
    assert_eq!((places.len(), places[0].table.as_str()), (1, "parent"));
}
