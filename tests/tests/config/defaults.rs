//! The defaults that are promised, to the letter.

use std::time::Duration;

use httputil::settings::{
    Coding, DnsBalance, DnsPreference, DnsResolver, Jitter, MaxConnections, Profile, Roots, TlsVersion,
};
use httputil::{Config, Environment};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The `default` profile of every way to have configured nothing.
fn untouched() -> Vec<Profile> {
    let empty_file = Config::builder().embedded("empty", "").load().unwrap();
    let bare_profile = Config::builder()
        .embedded("bare", "[default]\n[default.pool]")
        .load()
        .unwrap();
    let no_file = Config::builder().env(&Environment::empty()).load().unwrap();
    let configs = [Config::empty(), empty_file, bare_profile, no_file];
    configs
        .iter()
        .map(|config| config.profile("default").unwrap())
        .collect()
}

macro_rules! pinned {
    ($($name:ident: |$profile:ident| $value:expr => $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            for $profile in untouched() {
                assert_eq!($value, $expected);
            }
        }
    )*};
}

// The table that the mission sets.
pinned! {
    at_most_100_connections_are_idle_over_all_hosts: |p| p.transport.pool.max_idle => 100;
    at_most_10_connections_are_idle_to_a_host: |p| p.transport.pool.max_idle_per_host => 10;
    an_idle_connection_is_closed_after_90_s: |p| p.transport.pool.idle_timeout => seconds(90);
    a_tcp_connect_may_take_30_s: |p| p.transport.timeouts.connect => seconds(30);
    the_first_keep_alive_probe_comes_after_30_s: |p| p.transport.tcp.keepalive => Some(seconds(30));
    keep_alive_probes_come_as_often_as_the_first: |p| p.transport.tcp.keepalive_interval => None;
    a_tls_handshake_may_take_10_s: |p| p.transport.timeouts.tls_handshake => seconds(10);
    a_whole_request_may_take_30_s: |p| p.policy.timeout => Some(seconds(30));
    tls_1_2_is_the_lowest_spoken: |p| p.transport.tls.min_version => TlsVersion::V1_2;
    http2_is_offered_by_alpn: |p| p.transport.http2.enabled => true;
    the_proxy_variables_are_heeded: |p| p.transport.proxy.from_env => true;
    certificates_are_verified: |p| p.transport.tls.insecure_skip_verify => false;
}

// What else the reference promises.
pinned! {
    the_wait_at_a_cap_may_take_10_s: |p| p.policy.pool_wait => seconds(10);
    a_body_waits_for_100_continue_for_1_s: |p| p.policy.expect_continue => seconds(1);
    an_attempt_may_take_as_long_as_the_request: |p| p.policy.attempt => None;
    a_header_may_take_as_long_as_the_request: |p| p.policy.response_header => None;
    a_body_may_be_silent_as_long_as_the_request_takes: |p| p.policy.read.beside(p.policy.timeout) => None;
    a_peer_may_take_nothing_as_long_as_the_request_takes: |p| p.policy.write.beside(p.policy.timeout) => None;
    without_a_time_out_a_body_may_be_silent_for_60_s: |p| p.policy.read.beside(None) => Some(seconds(60));
    without_a_time_out_a_peer_may_take_nothing_for_60_s: |p| p.policy.write.beside(None) => Some(seconds(60));
    a_name_look_up_may_take_10_s: |p| p.transport.timeouts.dns => seconds(10);
    an_answer_of_the_dns_is_used_for_30_s: |p| p.transport.dns.ttl => seconds(30);
    the_last_good_answer_stands_in_for_5_min: |p| p.transport.dns.stale_for => seconds(300);
    the_system_resolves_names: |p| p.transport.dns.resolver => DnsResolver::System;
    both_families_are_dialled_in_turn: |p| p.transport.dns.prefer => DnsPreference::HappyEyeballs;
    the_first_address_that_answers_is_taken: |p| p.transport.dns.balance => DnsBalance::First;
    requests_may_go_anywhere: |p| (p.transport.egress.allow.len(), p.transport.egress.deny.len()) => (0, 0);
    private_addresses_and_plain_http_are_not_refused: |p| (p.transport.egress.deny_private, p.transport.egress.https_only) => (false, false);
    no_proxy_is_trusted_with_what_is_denied: |p| p.transport.egress.trust_proxy => false;
    no_name_is_led_elsewhere: |p| p.transport.dns.overrides.len() => 0;
    a_failed_request_is_attempted_three_times: |p| p.policy.retry.max_attempts => 3;
    pauses_between_attempts_double_from_100_ms_to_5_s: |p| (p.policy.retry.backoff_base, p.policy.retry.backoff_max) => (Duration::from_millis(100), seconds(5));
    any_pause_up_to_the_bound_is_as_likely: |p| p.policy.retry.jitter => Jitter::Full;
    five_statuses_are_failures: |p| p.policy.retry.statuses => [425, 429, 502, 503, 504];
    the_idempotent_methods_are_repeated: |p| p.policy.retry.methods => ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
    the_idempotency_key_has_its_usual_name: |p| p.policy.retry.idempotency_header => "Idempotency-Key";
    a_tenth_of_the_requests_may_be_retries_and_one_a_second: |p| (p.policy.retry.budget_ratio, p.policy.retry.budget_min_per_second) => (0.1, 1);
    the_pause_that_a_server_asks_for_is_kept_up_to_30_s: |p| (p.policy.retry.respect_retry_after, p.policy.retry.max_retry_after) => (true, seconds(30));
    a_host_that_fails_four_of_five_of_twenty_requests_in_10_s_is_left_alone: |p| (p.policy.breaker.enabled, p.policy.breaker.failure_ratio, p.policy.breaker.min_requests, p.policy.breaker.window) => (true, 0.8, 20, seconds(10));
    it_is_left_alone_for_5_s_up_to_a_minute_and_three_requests_tell_whether_it_is_back: |p| (p.policy.breaker.open_for, p.policy.breaker.max_open_for, p.policy.breaker.half_open_requests) => (seconds(5), seconds(60), 3);
    any_number_of_requests_goes_at_once: |p| (p.policy.limit.max_concurrent, p.policy.limit.max_concurrent_per_host, p.policy.limit.queue) => (None, None, None);
    requests_go_as_fast_as_they_come: |p| (p.policy.limit.rate, p.policy.limit.burst) => (None, None);
    ten_redirects_are_followed: |p| p.policy.redirect.max => 10;
    redirects_lead_to_other_origins_but_not_from_https_to_http: |p| (p.policy.redirect.cross_origin, p.policy.redirect.downgrade) => (true, false);
    no_header_is_given_to_all_requests: |p| p.policy.headers.len() => 0;
    nobody_is_told_who_we_are: |p| (p.policy.auth.basic, p.policy.auth.bearer, p.policy.auth.oauth2, p.policy.auth.origins.len()) => (None, None, None, 0);
    nobody_is_asked_twice: |p| p.policy.hedge_after => None;
    three_codings_are_asked_for_as_far_as_they_were_built_in: |p| p.policy.compression.accept => [Coding::Gzip, Coding::Br, Coding::Zstd];
    a_hundred_bytes_may_come_of_one: |p| p.policy.compression.max_ratio => 100;
    no_cookie_is_kept: |p| p.policy.cookies => false;
    a_response_may_have_any_size: |p| p.policy.max_response_bytes => None;
    the_user_agent_is_ours: |p| p.policy.user_agent => concat!("httputil/", "0.1.0");
    an_idle_http1_connection_hibernates_after_5_s: |p| p.transport.pool.hibernate_after => Some(seconds(5));
    connections_are_reused: |p| p.transport.pool.reuse => true;
    a_connection_takes_no_request_after_10_min: |p| p.transport.pool.max_lifetime => Some(seconds(600));
    a_connection_takes_any_number_of_requests: |p| p.transport.pool.max_requests_per_connection => None;
    connections_to_a_host_have_no_cap: |p| p.transport.pool.max_connections_per_host => None;
    connections_of_a_pool_have_no_cap: |p| p.transport.pool.max_connections => None;
    a_proxy_may_take_10_s_to_answer: |p| p.transport.timeouts.proxy_connect => seconds(10);
    no_proxy_is_written: |p| (p.transport.proxy.url, p.transport.proxy.http, p.transport.proxy.https) => (None, None, None);
    no_exception_is_written: |p| p.transport.proxy.no_proxy => None;
    nobody_is_known_to_proxies: |p| (p.transport.proxy.username, p.transport.proxy.password) => (None, None);
    no_connection_is_kept_ready: |p| p.transport.pool.min_idle_per_host => 0;
    no_host_is_connected_to_ahead: |p| p.transport.pool.warm.len() => 0;
    the_pool_is_the_profile_s_own: |p| p.pool => "default";
    there_is_no_description: |p| p.description => None;
    three_probes_go_unanswered: |p| p.transport.tcp.keepalive_retries => 3;
    small_packets_are_sent_at_once: |p| p.transport.tcp.nodelay => true;
    tls_1_3_is_the_highest_spoken: |p| p.transport.tls.max_version => TlsVersion::V1_3;
    the_platform_s_roots_are_trusted: |p| p.transport.tls.roots => Roots::Platform;
    no_authority_file_is_read: |p| (p.transport.tls.ca_file, p.transport.tls.extra_ca_file) => (None, None);
    a_relative_url_has_no_prefix: |p| p.policy.base_url.len() => 0;
    data_goes_unacknowledged_for_15_s_at_most: |p| p.transport.tcp.user_timeout => Some(seconds(15));
    connections_are_made_as_the_routes_say: |p| (p.transport.tcp.local_address, p.transport.tcp.interface) => (None, None);
    no_certificate_is_shown: |p| (p.transport.tls.cert_file, p.transport.tls.key_file) => (None, None);
    no_revocation_list_is_read: |p| p.transport.tls.crl_files.len() => 0;
    any_key_is_accepted: |p| p.transport.tls.pins.len() => 0;
    a_server_is_verified_by_the_name_in_the_url: |p| p.transport.tls.server_name => None;
    an_http1_header_holds_64_kib: |p| p.transport.http1.max_header_bytes => 64 * 1024;
    an_http1_header_has_100_lines: |p| p.transport.http1.max_headers => 100;
    header_names_are_sent_in_lower_case: |p| p.transport.http1.title_case_headers => false;
    http2_is_not_spoken_unasked: |p| p.transport.http2.prior_knowledge => false;
    four_http2_connections_go_to_a_host: |p| p.transport.http2.max_connections_per_host => 4;
    a_connection_carries_128_streams: |p| p.transport.http2.max_streams_per_connection => 128;
    a_silent_connection_is_pinged_after_10_s: |p| p.transport.http2.keepalive_interval => seconds(10);
    a_ping_is_answered_within_5_s: |p| p.transport.http2.keepalive_timeout => seconds(5);
    a_connection_without_requests_is_not_pinged: |p| p.transport.http2.keepalive_while_idle => false;
    a_stream_s_window_is_2_mib: |p| p.transport.http2.initial_stream_window => 2 * 1024 * 1024;
    a_connection_s_window_is_16_mib: |p| p.transport.http2.initial_connection_window => 16 * 1024 * 1024;
    windows_stay_as_they_are: |p| p.transport.http2.adaptive_window => false;
    a_frame_holds_16_kib: |p| p.transport.http2.max_frame_size => 16 * 1024;
    a_response_header_holds_64_kib: |p| p.transport.http2.max_header_list_size => 64 * 1024;
}

#[test]
fn open_files_bound_all_pools_together() {
    let empty_table = Config::builder().embedded("empty", "[registry]").load().unwrap();
    for config in [Config::empty(), Config::builder().load().unwrap(), empty_table] {
        assert_eq!(config.registry().max_connections, MaxConnections::Auto);
        assert!(!config.registry().watch);
        assert!(config.registry().strict);
    }
}

#[test]
fn the_default_profile_is_always_there() {
    assert_eq!(Config::empty().profiles(), ["default"]);
    assert_eq!(Config::builder().load().unwrap().profiles(), ["default"]);
}

#[test]
fn a_cap_that_is_not_written_gives_way_to_one_that_is() {
    let pool = |text: &str| {
        let config = Config::builder().embedded("text", text).load().unwrap();
        let pool = config.profile("default").unwrap().transport.pool;
        (pool.max_idle, pool.max_idle_per_host, pool.min_idle_per_host)
    };
    assert_eq!(pool("default.pool.max_idle = 4"), (4, 4, 0));
    assert_eq!(pool("default.pool.max_idle = 0"), (0, 0, 0));
    assert_eq!(pool("default.pool.max_idle = 50"), (50, 10, 0));
    assert_eq!(pool("default.pool.max_idle_per_host = 200"), (200, 200, 0));
    assert_eq!(pool("default.pool.max_idle_per_host = 20"), (100, 20, 0));
    assert_eq!(pool("default.pool.min_idle_per_host = 5"), (100, 10, 5));
    assert_eq!(pool("default.pool.min_idle_per_host = 20"), (100, 20, 20));
    assert_eq!(pool("default.pool.min_idle_per_host = 200"), (200, 200, 200));
    assert_eq!(
        pool("default.pool = { min_idle_per_host = 8, max_idle = 9 }"),
        (9, 9, 8)
    );
    assert_eq!(
        pool("default.pool = { min_idle_per_host = 8, max_idle_per_host = 8, max_idle = 8 }"),
        (8, 8, 8)
    );
}
