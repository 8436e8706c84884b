"""Header rules."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.errors import InvalidEvent
from adapter.payload import headers as rules

# What the runtime uses for the headers of an event.
EVENT_FILTER = rules.app_filter(origin=True, identity=False)
HOST = ("Host", "h")


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "keep-alive",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "proxy-connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
    ],
)
def test_headers_of_the_connection_are_not_forwarded(name: str) -> None:
    assert rules.forwardable([(name, "x"), HOST]) == [HOST]


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param([("Connection", "close, X-Hop , x-other")], id="one-header"),
        pytest.param([("connection", "x-hop"), ("CONNECTION", "X-OTHER")], id="two-headers"),
    ],
)
def test_headers_that_connection_nominates_are_not_forwarded(connection: rules.Headers) -> None:
    headers = [("X-Hop", "1"), *connection, ("x-other", "2"), ("X-Kept", "3")]
    assert rules.forwardable(headers) == [("X-Kept", "3")]


def test_a_host_cannot_be_nominated() -> None:
    assert rules.forwardable([("Connection", "close, Host"), HOST]) == [HOST]


@pytest.mark.parametrize("name", ["Transfer_Encoding", "content_length", "Proxy_Connection", "Proxy", "keep_alive"])
def test_an_app_gets_no_spelling_of_a_connection_header(name: str) -> None:
    assert rules.forwardable([(name, "x"), HOST], EVENT_FILTER) == [HOST]


def test_a_message_quotes_the_beginning_of_what_was_sent() -> None:
    assert rules.excerpt("x" * 40) == repr("x" * 40)
    assert rules.excerpt("x" * 1_000_000) == repr("x" * 40) + "…"
    assert len(rules.excerpt(["x"] * 1_000_000)) < 50


def test_connection_headers_are_dropped_with_another_set_too() -> None:
    headers = [("Expect", "100-continue"), ("Content-Length", "1"), HOST]
    assert rules.forwardable(headers, EVENT_FILTER) == [HOST]
    assert rules.forwardable(headers) == [("Expect", "100-continue"), HOST]


def test_order_and_repeats_are_forwarded_in_a_new_list() -> None:
    headers = [("b", "1"), ("a", "2"), ("b", "3")]
    forwarded = rules.forwardable(headers)
    assert forwarded == headers
    assert forwarded is not headers


@pytest.mark.parametrize(
    "name",
    [
        "x-amzn-request-context",
        "X-Amzn-Lambda-Context",
        "X_AMZ_TENANT_ID",
        "x-amz_tenant-ID",
        "x_amzn-request_context",
        "x_amzn_lambda_context",
    ],
)
def test_identity_headers_are_removed_however_they_are_spelled(name: str) -> None:
    assert rules.forwardable([(name, "forged"), HOST], EVENT_FILTER) == [HOST]


def test_headers_with_similar_names_stay() -> None:
    headers = [("x-amzn-request-context-2", "1"), ("amz-tenant-id", "2"), ("x-amz-tenant", "3")]
    assert rules.forwardable(headers, EVENT_FILTER) == headers


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({"": "x"}, "'' is not a header name", id="empty-name"),
        pytest.param({"a b": "x"}, "'a b' is not a header name", id="space-in-name"),
        pytest.param({"a:": "x"}, "'a:' is not a header name", id="colon-in-name"),
        pytest.param({"é": "x"}, "is not a header name", id="non-ascii-name"),
        pytest.param({"\ud800": "x"}, "is not a header name", id="surrogate-in-name"),
        pytest.param({"a": "x\r\nb: y"}, "control character", id="cr-lf"),
        pytest.param({"a": "x\ny"}, "control character", id="lf"),
        pytest.param({"a": "x\0"}, "control character", id="nul"),
        pytest.param({"a": "\x1b"}, "control character", id="escape"),
        pytest.param({"a": "\x7f"}, "control character", id="del"),
        pytest.param({"a": "\udc80"}, "lone surrogate", id="surrogate"),
        pytest.param({"a": 1}, "a header value is of type int", id="number"),
        pytest.param({"a": None}, "a header value is of type NoneType", id="null"),
        pytest.param([("a", "x")], "not a JSON object", id="list"),
        pytest.param("a", "not a JSON object", id="text"),
    ],
)
def test_illegal_headers_are_rejected_in_either_map(headers: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        rules.from_map(headers, InvalidEvent)
    with pytest.raises(InvalidEvent, match=reason):
        rules.from_lists(headers, InvalidEvent)


def test_legal_headers_are_unchanged() -> None:
    values = {"X-!#$%&'*+.^_`|~9": " \t\x20~é\u0085\U0001f600 ", "b": ""}
    assert rules.from_map(values, InvalidEvent) == [*values.items()]


@pytest.mark.parametrize("name", ["known", "x" * 100])
def test_a_legal_name_does_not_make_another_name_legal(name: str) -> None:
    for number in range(1200):
        assert rules.from_map({name: "", f"{name}-{number}": ""}, InvalidEvent)
        assert rules.from_map({name: ""}, InvalidEvent)
    for illegal in ("", "two words", f"{name}:", name + "\r\n"):
        with pytest.raises(InvalidEvent, match="is not a header name"):
            rules.from_map({name: "", illegal: ""}, InvalidEvent)


def test_a_null_map_means_no_headers() -> None:
    assert rules.from_map(None, InvalidEvent) == []
    assert rules.from_lists(None, InvalidEvent) == []
    assert rules.from_both(None, None, InvalidEvent) == []


def test_a_multi_value_map_takes_lists_and_single_strings() -> None:
    assert rules.from_lists({"a": ["1", "2"], "b": "3", "c": []}, InvalidEvent) == [("a", "1"), ("a", "2"), ("b", "3")]


@pytest.mark.parametrize(
    ("single", "multi", "expected"),
    [
        pytest.param({"a": "2"}, {"a": ["1", "2"]}, [("a", "1"), ("a", "2")], id="same-names"),
        pytest.param({"A": "2", "B": "3"}, {"a": ["1"]}, [("a", "1"), ("B", "3")], id="other-case-and-more-names"),
        pytest.param({"a": "1"}, None, [("a", "1")], id="single-only"),
        pytest.param({"a": "1"}, {}, [("a", "1")], id="empty-multi"),
        pytest.param({}, {"a": ["1"]}, [("a", "1")], id="empty-single"),
    ],
)
def test_the_multi_value_map_wins_if_both_have_a_name(single: Any, multi: Any, expected: rules.Headers) -> None:
    assert rules.from_both(single, multi, InvalidEvent) == expected


def test_a_malformed_single_value_map_is_rejected_beside_a_good_multi_value_map() -> None:
    with pytest.raises(InvalidEvent, match="not a JSON object"):
        rules.from_both(["a"], {"a": ["1"]}, InvalidEvent)


def test_repeats_are_joined_but_set_cookie_never_is() -> None:
    headers = [("Vary", "a"), ("Set-Cookie", "x=1, y"), ("VARY", "b"), ("set-cookie", "z=2")]
    assert rules.join_repeats(headers) == ({"vary": "a, b"}, ["x=1, y", "z=2"])


def test_a_single_value_map_keeps_the_last_cookie() -> None:
    headers = [("Set-Cookie", "x=1"), ("a", "b"), ("set-cookie", "z=2")]
    assert rules.single_values(headers, all_cookies=False) == {"a": "b", "set-cookie": "z=2"}
    assert rules.single_values([("a", "b")], all_cookies=False) == {"a": "b"}


def test_a_single_value_map_has_all_cookies_in_names_of_different_case() -> None:
    headers = [("a", "b"), *(("Set-Cookie", f"c={number}") for number in range(5))]
    assert rules.single_values(headers, all_cookies=True) == {
        "a": "b",
        "set-cookie": "c=0",
        "Set-cookie": "c=1",
        "sEt-cookie": "c=2",
        "SEt-cookie": "c=3",
        "seT-cookie": "c=4",
    }
    assert rules.single_values([("a", "b")], all_cookies=True) == {"a": "b"}


def test_the_last_512_cookies_have_a_name() -> None:
    headers = [("set-cookie", f"c={number}") for number in range(513)]
    single = rules.single_values(headers, all_cookies=True)
    assert list(single.values()) == [f"c={number}" for number in range(1, 513)]
    assert {name.lower() for name in single} == {"set-cookie"}
    assert list(single)[-1] == "SET-COOKIE"


def test_a_request_map_joins_values_with_commas_and_cookies_with_semicolons() -> None:
    headers = [("Cookie", "a=1; b=2"), ("X", "1"), ("x", "2"), ("cookie", " ;c=3;")]
    assert rules.request_map(headers) == {"x": "1,2", "cookie": "a=1; b=2; c=3"}
    assert rules.request_map([("Cookie", " ; ")]) == {}


def test_a_multi_value_map_groups_names_in_any_case() -> None:
    assert rules.group_by_name([("A", "1"), ("b", "2"), ("a", "3")]) == {"a": ["1", "3"], "b": ["2"]}


def test_first_finds_the_first_value_in_any_case() -> None:
    assert rules.first([("X", "1"), ("x", "2")], "x") == "1"
    assert rules.first([("X", "1")], "y") == ""


def test_the_first_of_repeated_headers_counts() -> None:
    headers = [("Host", "a"), ("accept", "b"), ("HOST", "c")]
    assert rules.first(headers, "host") == "a"
    assert rules.first_values(headers) == {"host": "a", "accept": "b"}


def test_the_authorization_source_replaces_authorization_and_is_removed() -> None:
    headers = [("X-Auth", "one"), ("Authorization", "client"), ("x-auth", "two"), ("a", "b")]
    assert rules.with_authorization(headers, "x-auth") == [("a", "b"), ("authorization", "one")]


def test_without_the_authorization_source_headers_are_unchanged() -> None:
    headers = [("Authorization", "client")]
    assert rules.with_authorization(headers, "x-auth") == headers
    assert rules.with_authorization(headers, "authorization") == [("authorization", "client")]


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "a",
            "a:80",
            "a:",
            "A_b.example:65535",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "[::1]:",
            "a%41b",
            "%c3%a9",
        ),
        *("!$&'()*+,;=~", "[::ffff:127.0.0.1]", "a" * 255 + ":65535"),
    ],
)
def test_a_host_may_have_a_port(host: str) -> None:
    assert rules.is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("a b", "a/b", "a@b", "u:p@h", "a:b", "a:80:80", "a:65536", "a:123456", "a:-1", "a:\u0663", "a:\u00b2", ":80"),
        *("a?x", "a#x", '"a"', "a\\b", "\u00e9", "\udcff", "%", "a%4", "%zz", "%4\udcff", "a]", "a\t", "a\0"),
        *(
            "a" * 262,
            "%41" * 90,
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[1.2.3.4]",
            "[]",
            "[a]",
            "[fe80::1%eth0]",
            "[\u00e9]",
        ),
    ],
)
def test_anything_else_is_no_host(host: str) -> None:
    assert not rules.is_host(host)


# --- what a server believes from a proxy -----------------------------------------------------------------------------

ORIGIN = [
    "x-forwarded-for",
    "X-Forwarded-Prefix",
    "x-forwarded-ssl",
    "X-Forwarded-Anything-New",
    "Forwarded",
    "x-real-ip",
    "True-Client-IP",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
    "x-client-ip",
    "client-ip",
    "x-url-scheme",
    "front-end-https",
    "HTTP-X-Forwarded-For",
]
IDENTITY = ["Remote-User", "remote-groups", "x-remote-user", "X-Auth-Request-Email", "x-webauth-user"]
INTERNAL = [
    "script-name",
    "Path-Info",
    "x-script-name",
    "X-Original-URL",
    "x-rewrite-url",
    "proxy",
    "x-sendfile-type",
    "X-Accel-Mapping",
    "x-middleware-subrequest",
    "x-invoke-path",
    "https",
    "request-method",
    "x-amzn-lambda-event",
]
TWINS = [
    *("SCRIPT_NAME", "PATH_INFO", "REMOTE_USER", "X_Forwarded_For", "x-forwarded_for", "x_real_ip", "CONTENT_TYPE"),
    *("X_Original_URL", "x.forwarded.for", "x~forwarded-proto", "X_Amzn_Oidc_Identity", "cloudfront_viewer_address"),
    *("x_amzn_lambda_event", "Transfer_Encoding", "content_length", "x_auth_request_user"),
]
# What a client says for itself, whatever it looks like.
OWN = [
    *("x-http-method-override", "x-requested-with", "x-forward", "forwarding", "remote", "my_header", "user_agent"),
    *("x-amzn-oidc-data", "cloudfront-viewer-country", "content-type", "x-middleware-prefetch", "x-csrftoken"),
]


def kept(names: list[str], *, origin: bool, identity: bool) -> list[str]:
    headers = [(name, "v") for name in names]
    return [name for name, _ in rules.forwardable(headers, rules.app_filter(origin=origin, identity=identity))]


@pytest.mark.parametrize("origin", [True, False])
@pytest.mark.parametrize("identity", [True, False])
def test_claims_pass_from_those_that_may_make_them_and_nothing_internal_ever_does(origin: bool, identity: bool) -> None:
    assert kept(ORIGIN, origin=origin, identity=identity) == (ORIGIN if origin else [])
    assert kept(IDENTITY, origin=origin, identity=identity) == (IDENTITY if identity else [])
    assert kept(INTERNAL, origin=origin, identity=identity) == []
    assert kept(TWINS, origin=origin, identity=identity) == []
    assert kept(OWN, origin=origin, identity=identity) == OWN


def test_one_of_two_names_that_a_server_confuses_is_dropped() -> None:
    headers = [("x_api_user", "forged"), ("X-Api-User", "proxy"), ("x.api.user", "forged"), ("other_name", "1")]
    assert rules.forwardable(headers, EVENT_FILTER) == [("X-Api-User", "proxy"), ("other_name", "1")]


def test_a_header_that_a_setting_names_is_kept() -> None:
    headers = [("X-Forwarded-Authorization", "a"), ("x_forwarded_authorization", "b"), ("X-Forwarded-For", "c")]
    chosen = rules.app_filter(origin=False, identity=False, kept="x-forwarded-authorization")
    assert rules.forwardable(headers, chosen) == headers[:1]


def test_a_filter_remembers_a_bounded_number_of_names() -> None:
    chosen = rules.app_filter(origin=True, identity=True)
    headers = [(f"x-{number}", "v") for number in range(5000)] + [("y" * 1000, "v")]
    assert rules.forwardable(headers, chosen) == headers
    assert len(chosen.known) <= 1024
    assert max(map(len, chosen.known)) <= 64


def test_a_host_is_judged_the_same_however_many_came_before() -> None:
    for number in range(100):
        for _ in range(2):
            assert rules.is_host(f"one-{number}:80")
            assert not rules.is_host(f"one-{number}:80/")


# --- lists and lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        pytest.param(
            [("Cookie", "a=1; b=2"), ("X", "y"), ("cookie", "c=3")], [("cookie", "a=1; b=2; c=3"), ("X", "y")]
        ),
        pytest.param([("cookie", " ;a=1;"), ("cookie", ""), ("cookie", "b=2 ")], [("cookie", "a=1; b=2")]),
        pytest.param([("Cookie", "a=1;")], [("Cookie", "a=1;")]),
        pytest.param(
            [("X-Forwarded-For", "1"), ("x-forwarded-for", "2"), ("Forwarded", "for=1"), ("forwarded", "for=2")],
            [("x-forwarded-for", "1, 2"), ("forwarded", "for=1, for=2")],
        ),
        pytest.param([("Content-Type", "a"), ("content-type", "a")], [("content-type", "a")]),
        pytest.param([("Accept", "a"), ("accept", "b"), ("X", "1"), ("X", "2")], None),
    ],
)
def test_lines_that_servers_read_differently_become_one(lines: rules.Headers, joined: rules.Headers | None) -> None:
    assert rules.forwardable(lines, EVENT_FILTER) == (joined or lines)


@pytest.mark.parametrize("name", ["Authorization", "Content-Type"])
def test_two_values_of_a_header_that_has_one_are_an_error(name: str) -> None:
    chosen = rules.app_filter(origin=True, identity=True, failure=InvalidEvent)
    with pytest.raises(InvalidEvent, match=f"2 different {name.lower()} headers instead of one"):
        rules.forwardable([(name, "a"), (name.lower(), "b"), (name, "a")], chosen)


def test_lines_of_a_response_stay() -> None:
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Cookie", "x"), ("Cookie", "y"), ("script_name", "z")]
    assert rules.forwardable(headers) == headers


def test_many_lines_take_linear_time() -> None:
    headers = [("cookie", f"c{number}=1") for number in range(200_000)]
    ((name, value),) = rules.forwardable(headers, EVENT_FILTER)
    assert (name, value.count("; ")) == ("cookie", 199_999)


def test_many_equal_headers_are_joined_in_proportion_to_their_number() -> None:
    # Joining value by value would copy 200 GB.
    single, cookies = rules.join_repeats([("A", "b"), ("C", "d"), *[("a", "e" * 10)] * 200_000])
    assert single == {"a": "b, " + ", ".join(["e" * 10] * 200_000), "c": "d"}
    assert cookies == []
