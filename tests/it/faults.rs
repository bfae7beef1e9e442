//! What can go wrong, row by row, and the tests that show what then happens.

use std::{collections::BTreeMap, fs, path::Path};

/// A row, in short, and its tests as `module::name`.
type Row = (&'static str, &'static [&'static str]);

const UPSTREAM: &[Row] = &[
    (
        "connection refused, reset, DNS, TLS, garbage instead of HTTP, truncated by length or chunk",
        &[
            "sockets::a_refused_connection_is_no_answer",
            "sockets::a_connection_reset_by_qq_is_no_answer",
            "sockets::what_is_no_answer_of_http_is_no_answer_of_qq_at_any_call",
            "sockets::a_token_request_that_was_read_is_never_sent_again",
            "tls::who_cannot_prove_to_be_qq_hears_nothing_at_any_call_and_the_log_says_why",
            "tls::a_name_that_nobody_has_is_no_qq_and_the_log_says_why",
            "upstream::a_connection_that_fails_is_no_answer",
            "upstream::a_body_that_breaks_off_is_no_answer",
        ],
    ),
    (
        "silence, one byte at a time, slow headers",
        &[
            "sockets::slow_headers_are_left_in_time",
            "upstream::a_call_that_takes_too_long_is_left_after_5_seconds",
            "upstream::a_login_that_takes_too_long_is_left_after_10_seconds",
            "upstream::asking_once_more_does_not_buy_more_than_10_seconds",
            "upstream::a_service_that_is_never_ready_is_no_answer",
        ],
    ),
    (
        "giant body (with or without length), gzip bomb, 1 MB header",
        &[
            "upstream::a_giant_body_takes_no_memory",
            "sockets::nothing_is_decompressed",
            "sockets::what_is_no_answer_of_http_is_no_answer_of_qq_at_any_call",
            "upstream::a_body_of_more_than_64_kib_is_no_answer",
            "upstream::an_endless_body_is_left_after_64_kib",
        ],
    ),
    (
        "3xx",
        &[
            "sockets::a_redirect_leads_nowhere",
            "upstream::a_redirect_is_not_followed",
        ],
    ),
    ("429, 503", &["upstream::who_is_busy_may_say_for_how_long"]),
    (
        "5xx, 403, HTML of a firewall at 200, 201/204/206/304",
        &[
            "secrets::operators_read_number_status_and_length",
            "upstream::a_page_at_200_is_no_answer",
            "upstream::a_status_other_than_200_is_no_answer",
            "upstream::a_status_other_than_200_spoils_a_good_answer",
            "upstream::people_read_a_page_that_says_nothing_of_what_qq_said",
        ],
    ),
    (
        "wrong content type, right content",
        &["upstream::the_content_type_says_nothing"],
    ),
    (
        "error in the body at 200: JSON, JSONP, form; number or string",
        &[
            "replies::an_error_without_a_number_is_still_an_error",
            "replies::no_number_at_the_profile_ends_a_login_unless_the_app_says_so",
            "replies::numbers_end_a_login_by_their_group_in_whatever_shape_they_come",
        ],
    ),
    (
        "token and error together, token missing, empty, null, number, array, repeated",
        &[
            "replies::a_form_is_a_token_only_if_it_is_whole",
            "replies::a_name_that_comes_twice_makes_a_reply_worthless",
            "replies::an_answer_with_a_token_and_an_error_is_neither",
            "replies::no_call_is_made_with_a_token_that_is_none",
        ],
    ),
    (
        "token with `&`, `#`, CR LF, NUL",
        &["replies::a_token_is_sent_on_as_exactly_one_parameter"],
    ),
    (
        "`expires_in` negative, 0, huge, fraction, text",
        &["replies::a_lifetime_is_known_or_unknown_but_never_a_failure"],
    ),
    (
        "`/me`: client_id other or missing",
        &[
            "replies::a_token_of_another_app_is_refused_also_where_the_openid_is_known",
            "replies::a_token_of_another_app_or_of_none_is_refused",
            "replies::a_token_that_names_two_people_is_refused",
        ],
    ),
    (
        "openid empty, null, blanks, CR LF, 10 KiB",
        &["replies::an_openid_is_taken_byte_for_byte_or_not_at_all"],
    ),
    (
        "deep JSON, NaN, trailing comma, not UTF-8",
        &[
            "payloads::every_body_is_read_as_it_is_meant",
            "replies::anything_near_json_and_jsonp_is_refused",
        ],
    ),
    (
        "profile down, refused or unreadable",
        &[
            "replies::a_profile_counts_only_with_ret_0",
            "replies::a_profile_is_complete_if_it_has_a_name_and_qq_does_not_say_otherwise",
            "replies::no_number_at_the_profile_ends_a_login_unless_the_app_says_so",
            "upstream::a_status_other_than_200_is_no_answer",
        ],
    ),
    (
        "nickname with controls, bidi marks, markup, 64 KiB; picture `javascript:`, `data:`, quotes",
        &[
            "examples::users_in_sqlite_have_an_id_of_their_own_and_are_welcomed_once",
            "replies::a_nickname_is_made_fit_to_show",
            "replies::a_picture_is_https_or_left_out",
            "replies::raw_control_characters_do_not_cost_the_profile",
            "replies::the_largest_session_fits_into_a_cookie",
        ],
    ),
    (
        "connection closed by QQ while idle",
        &[
            "sockets::a_connection_closed_while_idle_does_not_cost_the_next_login",
            "sockets::a_token_request_that_was_read_is_never_sent_again",
        ],
    ),
    (
        "QQ down and up again",
        &[
            "sockets::qq_that_comes_back_is_found_again_at_once",
            "tls::who_cannot_prove_to_be_qq_hears_nothing_at_any_call_and_the_log_says_why",
            "upstream::all_is_well_when_qq_is_back",
        ],
    ),
];

const BROWSER_AND_ATTACKER: &[Row] = &[
    (
        "callback without a login cookie, with another browser's state, forged, truncated, 60 KiB, not UTF-8, repeated",
        &[
            "callback::a_state_that_is_not_this_browsers_is_refused_whatever_its_shape",
            "callback::callback_with_a_foreign_state_is_refused_before_any_call_to_qq",
        ],
    ),
    (
        "the same callback twice, Back, reload",
        &[
            "callback::a_code_that_is_used_up_is_of_no_matter_to_somebody_who_is_signed_in",
            "callback::reload_and_back_go_forward_for_who_is_signed_in_and_never_ask_qq_again",
            "callback::who_is_signed_in_is_not_signed_in_as_somebody_else_by_a_stray_callback",
        ],
    ),
    (
        "20 parallel callbacks with one state",
        &["callback::of_twenty_parallel_callbacks_with_one_state_at_most_one_signs_in"],
    ),
    (
        "five tabs; a hundred abandoned logins",
        &[
            "login::a_hundred_abandoned_logins_leave_four_cookies",
            "login::of_five_tabs_the_last_four_can_finish",
            "login::two_tabs_finish_in_reverse_order_each_at_its_own_page",
        ],
    ),
    (
        "login cookie as session, session as login cookie, another app's or instance's values",
        &[
            "callback::a_login_cookie_is_good_under_its_own_name_only",
            "session::cookies_of_other_apps_names_and_keys_are_nobodys",
            "session::login_and_session_do_not_stand_in_for_each_other",
            "several::cookies_of_one_app_are_nothing_to_the_other_even_under_its_names",
        ],
    ),
    (
        "session cookie with any bit flipped, cut, re-padded; two values of our name; percent-encoded or Unicode-space name",
        &[
            "session::a_cookie_with_any_bit_changed_is_nobodys",
            "session::the_cookie_is_found_by_its_exact_name_and_nothing_else",
        ],
    ),
    (
        "400 KiB of cookies, 3000 cookies, non-ASCII neighbours, several Cookie headers",
        &[
            "session::cookies_without_number_do_not_hold_anybody_up",
            "session::neighbours_hide_nothing",
            "session::no_cookie_header_whatever_is_an_error",
        ],
    ),
    (
        "`Host`, `X-Forwarded-*`, `Forwarded`, absolute-form target poisoned",
        &["login::nothing_is_taken_from_headers_that_a_client_can_write"],
    ),
    (
        "identity headers (`X-QQ-User` …), a `QqUser` extension planted by an outer service",
        &[
            "forward::logins_and_tokens_that_an_outer_service_claims_never_reach_the_app",
            "session::what_an_outer_service_claims_is_not_believed",
            "transport::a_person_planted_from_outside_never_reaches_the_app",
        ],
    ),
    (
        "return_to that leaves the site, carries CR LF or TAB, or is repeated",
        &[
            "return_to::a_browser_never_leaves_the_site",
            "return_to::a_return_to_that_is_repeated_or_not_text_is_ignored",
            "return_to::anything_that_could_lead_elsewhere_lands_on_the_start_page",
        ],
    ),
    (
        "HEAD, POST, OPTIONS, prefetch, link preview on our paths",
        &["login::nothing_is_started_or_used_up_by_other_methods_and_prefetches"],
    ),
    (
        "logout from another site (foreign or null Origin, `Sec-Fetch-Site: cross-site`)",
        &[
            "access::get_logout_signs_nobody_out",
            "access::logout_is_for_the_own_site_only",
            "access::repeated_origins_are_not_ours",
        ],
    ),
    (
        "markup in error_description, nickname, return_to",
        &[
            "callback::error_reports_with_a_good_state_are_a_cancelled_login",
            "pages::markup_in_a_return_to_stays_text",
            "replies::a_nickname_is_made_fit_to_show",
            "secrets::a_line_of_the_log_cannot_be_forged_by_qq",
        ],
    ),
];

const MACHINE: &[Row] = &[
    (
        "100,000 login starts",
        &["load::a_hundred_thousand_logins_that_nobody_finishes_take_no_memory"],
    ),
    (
        "QQ hangs while logins pour in",
        &[
            "load::while_qq_hangs_256_logins_wait_and_the_others_are_told_at_once",
            "transport::over_the_limit_a_login_is_told_to_come_back_and_then_finishes",
        ],
    ),
    (
        "client hangs up mid-login",
        &[
            "events::a_login_whose_client_leaves_is_told_once_as_abandoned",
            "load::a_client_that_leaves_at_any_hop_leaves_nothing_running",
            "load::a_client_that_leaves_while_it_is_looked_up_leaves_nothing_running",
            "soak::mixed_traffic_with_failures_leaves_memory_and_descriptors_as_they_were",
            "transport::a_client_that_hangs_up_frees_its_place_in_flight",
            "transport::a_dropped_login_frees_its_place_in_flight",
        ],
    ),
    (
        "inner service fails, is not ready, needs its own `poll_ready` (ConcurrencyLimit, Buffer)",
        &[
            "forward::the_app_is_asked_whether_it_is_ready_and_may_fail",
            "guards::a_guard_that_turns_somebody_away_holds_no_place_in_the_app",
            "transport::a_buffered_app_is_left_to_others",
            "transport::a_service_that_is_cloned_when_ready_is_the_one_that_is_called",
            "transport::an_app_that_sheds_load_is_not_taken_for_busy",
            "transport::back_pressure_and_failure_of_the_app_are_passed_on",
            "transport::errors_of_the_app_keep_their_type",
            "transport::the_app_is_never_called_unready",
            "transport::what_we_answer_ourselves_holds_no_place_in_the_app",
        ],
    ),
    (
        "the app's hook fails, hangs, panics",
        &[
            "hooks::a_broken_hook_hurts_one_login_and_nothing_else",
            "hooks::an_error_that_panics_when_it_is_told_refuses_one_login_and_nothing_else",
            "hooks::the_hook_has_the_time_that_qq_leaves_of_the_login",
        ],
    ),
    (
        "keys: old, rotated, foreign, missing, weak",
        &[
            "config::keys_are_hex_or_base64_and_strong_or_refused",
            "quickstart::a_wrong_or_half_set_configuration_ends_it_with_one_line_that_names_the_variable",
            "session::cookies_of_other_apps_names_and_keys_are_nobodys",
            "session::old_keys_open_and_the_first_seals",
        ],
    ),
    (
        "clock jumps",
        &[
            "callback::a_clock_that_jumps_back_is_tolerated_for_five_minutes",
            "session::a_session_ends_after_thirty_days_however_much_it_is_used",
            "session::a_session_from_a_clock_that_is_ahead_is_good_within_five_minutes",
            "session::limits_can_be_set_and_overlong_ones_do_not_overflow",
        ],
    ),
    (
        "revocation list (Redis) slow, down, full of garbage",
        &[
            "redis::a_server_that_hangs_costs_half_a_second_once_and_is_found_again",
            "redis::a_server_that_stops_and_starts_is_found_again",
            "redis::what_is_no_entry_lets_nobody_in",
            "revocation::a_list_that_cannot_be_asked_costs_half_a_second_and_only_who_needs_it",
            "revocation::an_app_can_take_sessions_on_trust",
            "revocation::most_requests_do_not_ask_and_a_short_outage_is_not_noticed",
        ],
    ),
    (
        "two or more machines",
        &[
            "redis::the_cluster_example_shares_logins_and_revocations_in_memory",
            "redis::two_machines_share_logins_sessions_and_logouts",
        ],
    ),
];

const RULES: &[Row] = &[
    (
        "1. State is bound to the browser by its cookie",
        &["callback::callback_with_a_foreign_state_is_refused_before_any_call_to_qq"],
    ),
    (
        "2. State first; no call to QQ when it fails; consumed on failure of the chain too",
        &[
            "callback::a_failed_chain_uses_the_login_up",
            "callback::a_state_that_is_not_this_browsers_is_refused_whatever_its_shape",
        ],
    ),
    (
        "3. The HTTP client follows no redirect and sends no Referer",
        &[
            "sockets::a_redirect_leads_nowhere",
            "sockets::requests_are_sent_as_qq_wants_them",
        ],
    ),
    (
        "4. Every error of the HTTP client becomes our own words",
        &[
            "secrets::errors_and_debug_of_everything_hide_secrets",
            "secrets::the_built_in_client_logs_and_reports_no_address",
        ],
    ),
    (
        "5. A total time limit for each call and for the chain",
        &[
            "sockets::slow_headers_are_left_in_time",
            "upstream::a_call_that_takes_too_long_is_left_after_5_seconds",
            "upstream::a_login_that_takes_too_long_is_left_after_10_seconds",
        ],
    ),
    (
        "6. Bodies are read in chunks up to 64 KiB; no decompression",
        &[
            "upstream::a_giant_body_takes_no_memory",
            "sockets::nothing_is_decompressed",
            "upstream::an_endless_body_is_left_after_64_kib",
        ],
    ),
    (
        "7. Status 200 means nothing",
        &[
            "replies::an_answer_with_a_token_and_an_error_is_neither",
            "replies::no_call_is_made_with_a_token_that_is_none",
            "upstream::a_page_at_200_is_no_answer",
        ],
    ),
    (
        "8. `/me` must name our app id",
        &["replies::a_token_of_another_app_or_of_none_is_refused"],
    ),
    (
        "9. JSONP by grammar",
        &[
            "replies::anything_near_json_and_jsonp_is_refused",
            "replies::json_and_jsonp_are_read_however_they_are_laid_out",
        ],
    ),
    (
        "10. The Cookie header is parsed on bytes",
        &[
            "session::neighbours_hide_nothing",
            "session::the_cookie_is_found_by_its_exact_name_and_nothing_else",
        ],
    ),
    (
        "11. `return_to` is allowed by its shape",
        &[
            "return_to::a_browser_never_leaves_the_site",
            "return_to::anything_that_could_lead_elsewhere_lands_on_the_start_page",
            "return_to::paths_of_this_site_are_given_back_as_they_are",
        ],
    ),
    (
        "12. `redirect_uri` comes from configuration only",
        &["login::nothing_is_taken_from_headers_that_a_client_can_write"],
    ),
    (
        "13. A new session id at every login",
        &["login::every_login_gets_a_session_of_its_own"],
    ),
    (
        "14. An error never looks like a user",
        &[
            "redis::what_is_no_entry_lets_nobody_in",
            "revocation::a_list_that_cannot_be_asked_costs_half_a_second_and_only_who_needs_it",
            "session::no_cookie_header_whatever_is_an_error",
        ],
    ),
    (
        "15. No secret in any output",
        &[
            "config::debug_of_what_holds_a_secret_does_not_show_it",
            "secrets::errors_and_debug_of_everything_hide_secrets",
            "secrets::no_log_line_and_no_answer_holds_a_secret",
        ],
    ),
];

#[test]
fn every_row_has_a_test_and_every_test_is_there() {
    let tables = [
        ("Upstream", UPSTREAM, 18),
        ("Browser and attacker", BROWSER_AND_ATTACKER, 13),
        ("Machine", MACHINE, 9),
        ("Rules", RULES, 15),
    ];
    let mut sources = BTreeMap::new();
    for (section, rows, count) in tables {
        assert_eq!(rows.len(), count, "rows of {section}");
        for (row, tests) in rows {
            assert!(!tests.is_empty(), "{section}: {row}");
            for test in *tests {
                let (module, name) = test.split_once("::").unwrap();
                let source = sources.entry(module).or_insert_with(|| source(module));
                let found = has_test(source, name);
                assert!(found, "{test} is not there; it shows {section}: {row}");
            }
        }
    }
}

fn source(module: &str) -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let file = tests.join(module).with_extension("rs");
    fs::read_to_string(&file).unwrap_or_else(|_| panic!("there is no module {module}"))
}

/// Whether there is a function of this name that is marked as a test.
fn has_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let marks = before.rsplit("\n\n").next().unwrap_or_default();
    marks.contains("#[test]") || marks.contains("#[tokio::test")
}
