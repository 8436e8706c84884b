"""Methods, paths, queries and base paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidEvent
from adapter.payload import request_target as request_line


@pytest.mark.parametrize("method", ["GET", "post", "PROPFIND", "M-SEARCH"])
def test_any_token_is_a_method(method: str) -> None:
    assert request_line.method_of(method) == method


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\n", "GÉT", "\ud800", None, 1, ["GET"], "CONNECT", "connect"])
def test_anything_else_is_not_a_method(method: Any) -> None:
    with pytest.raises(InvalidEvent, match="not an HTTP method"):
        request_line.method_of(method)


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        pytest.param("/a/b", "", "/a/b", id="plain"),
        pytest.param("/a%2Fb%20c", "x=%26", "/a%2Fb%20c?x=%26", id="encoded-stays"),
        pytest.param("/a%2fb", "", "/a%2fb", id="case-of-encoding-stays"),
        pytest.param("/a b\r\n", "", "/a%20b%0D%0A", id="space-and-line-break"),
        pytest.param("/100%", "y=100%", "/100%25?y=100%", id="percent-alone"),
        pytest.param("/é/\U0001f600", "q=é", "/%C3%A9/%F0%9F%98%80?q=%C3%A9", id="utf-8"),
        pytest.param("/a#b", "c#d", "/a%23b?c%23d", id="no-fragment"),
        pytest.param("/a?b", "c?d", "/a%3Fb?c?d", id="question-mark-only-in-query"),
        pytest.param("/\x7f\0", "", "/%7F%00", id="controls"),
        pytest.param("//evil.example/x", "", "//evil.example/x", id="two-slashes-are-a-path"),
        pytest.param("http://evil.example/x", "", "/http://evil.example/x", id="absolute-form-is-a-path"),
        pytest.param("a", "", "/a", id="no-slash"),
        pytest.param("*", "", "/*", id="asterisk"),
        pytest.param("", "", "/", id="empty"),
        pytest.param(None, None, "/", id="null"),
        pytest.param("/a/../b/./c//", "", "/a/../b/./c//", id="never-normalised"),
        pytest.param('/[x]{y}|\\^`"<>', "", '/[x]{y}|\\^`"<>', id="unwise-but-printable"),
    ],
)
def test_a_target_changes_only_where_a_request_line_would_be_illegal(path: str, query: str, target: str) -> None:
    assert request_line.request_target(path, query) == target


def test_a_path_that_the_client_encoded_keeps_a_percent_alone() -> None:
    assert request_line.request_target("/100%?é", is_encoded=True) == "/100%%3F%C3%A9"


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        pytest.param(1, "", "path is of type int", id="path"),
        pytest.param("/", ["a"], "query string is of type list", id="query"),
        pytest.param("/\ud800", "", "lone surrogate", id="surrogate"),
    ],
)
def test_a_target_that_is_not_text_is_rejected(path: Any, query: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        request_line.request_target(path, query)


@given(path=st.text(st.characters(exclude_categories=["Cs"])), query=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_target_is_legal_and_in_origin_form(path: str, query: str) -> None:
    target = request_line.request_target(path, query)
    assert target.startswith("/")
    assert target.isascii()
    assert target.isprintable()
    assert not {" ", "#"} & {*target}
    assert ("?" in target) == bool(query)


@pytest.mark.parametrize(
    ("single", "multi", "pairs"),
    [
        pytest.param({"a": "1"}, {"a": ["0", "1"]}, [("a", "0"), ("a", "1")], id="multi-wins"),
        pytest.param({"a": "1"}, None, [("a", "1")], id="single"),
        pytest.param({"a": ["1", "2"]}, None, [("a", "1"), ("a", "2")], id="lists-in-one-map"),
        pytest.param(None, None, [], id="none"),
    ],
)
def test_query_maps_become_pairs(single: Any, multi: Any, pairs: request_line.Pairs) -> None:
    assert request_line.query_pairs(single, multi) == pairs


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        pytest.param("a=1", "are of type str, not a JSON object", id="text"),
        pytest.param({"a": 1}, "'a' is of type int", id="number"),
        pytest.param({"a": [None]}, "'a' is of type NoneType", id="null-in-list"),
    ],
)
def test_query_maps_of_another_type_are_rejected(parameters: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        request_line.query_pairs(parameters)


def test_decoded_parameters_are_encoded_again() -> None:
    pairs = [("a b", "1&2=3"), ("é", "+%"), ("~-._", "")]
    assert request_line.encode_query(pairs) == "a%20b=1%262%3D3&%C3%A9=%2B%25&~-._="
    assert request_line.decode_query(request_line.encode_query(pairs)) == pairs


def test_a_pair_is_split_at_its_first_equals_sign_and_empty_pairs_are_dropped() -> None:
    assert request_line.split_query("a=1=2&&b&=c&") == [("a", "1=2"), ("b", ""), ("", "c")]
    assert request_line.join_query([("a", "%20"), ("b", "")]) == "a=%20&b="


def test_a_multi_value_map_has_all_values_of_a_name() -> None:
    assert request_line.query_lists([("a", "1"), ("b", "2"), ("a", "3")]) == {"a": ["1", "3"], "b": ["2"]}


def test_decoding_takes_plus_for_a_space_and_leaves_broken_escapes() -> None:
    assert request_line.decode_query("a+b=%2B%zz%4") == [("a b", "+%zz%4")]
    assert request_line.percent_decode("%FF%C3%A9") == "\ufffdé"


@pytest.mark.parametrize(
    ("target", "base", "stripped"),
    [
        pytest.param("/api/x", "/api", "/x", id="once"),
        pytest.param("/api/api/x", "/api", "/api/x", id="only-once"),
        pytest.param("/apix", "/api", "/apix", id="segment-boundary"),
        pytest.param("/api", "/api", "/", id="whole-path"),
        pytest.param("/api/", "/api", "/", id="whole-path-with-slash"),
        pytest.param("/api?x=1", "/api", "/?x=1", id="before-a-query"),
        pytest.param("/api/x?y=/api", "/api", "/x?y=/api", id="query-untouched"),
        pytest.param("/x/api", "/api", "/x/api", id="only-at-the-front"),
        pytest.param("/a/b/c", "/a/b", "/c", id="two-segments"),
        pytest.param("/api//x", "/api", "//x", id="second-slash-stays"),
        pytest.param("/api/x", "", "/api/x", id="none"),
    ],
)
def test_a_base_path_is_stripped_once_at_a_segment_boundary(target: str, base: str, stripped: str) -> None:
    assert request_line.strip_base_path(target, base) == stripped


@given(path=st.text("/apix", max_size=12).map(lambda text: "/" + text))
def test_stripping_undoes_prefixing(path: str) -> None:
    assert request_line.strip_base_path("/api" + path, "/api") == path


@pytest.mark.parametrize(
    ("base", "normal"), [("api", "/api"), ("/api/", "/api"), ("/a/b//", "/a/b"), ("/", ""), ("", "")]
)
def test_base_paths_may_be_written_with_or_without_slashes(base: str, normal: str) -> None:
    assert request_line.normalize_base_path(base) == normal


@pytest.mark.parametrize(
    ("target", "found"),
    [
        pytest.param("/x?y", ("/x?y", ""), id="path"),
        pytest.param("//evil.example/x", ("//evil.example/x", ""), id="two-slashes-are-a-path"),
        pytest.param("http://a.example", ("/", "a.example"), id="authority-alone"),
        pytest.param("HTTPS://a.example:1/x//y?z", ("/x//y?z", "a.example:1"), id="url"),
        pytest.param("http://a.example?y=/1", ("/?y=/1", "a.example"), id="query-with-a-slash"),
        pytest.param("http://[::1]:80/", ("/", "[::1]:80"), id="ipv6"),
        pytest.param("http://a.example/@b", ("/@b", "a.example"), id="at-in-the-path"),
        pytest.param("http:///x", None, id="no-authority"),
        pytest.param("http://?x", None, id="query-without-authority"),
        pytest.param("http://u:p@a.example/", None, id="credentials"),
        pytest.param("http://a.example/#f", None, id="fragment"),
        pytest.param("http://a.example:x/", None, id="port-that-is-none"),
        pytest.param("ftp://a.example/", None, id="other-scheme"),
        pytest.param("a.example:443", None, id="authority-form"),
        pytest.param("*", None, id="asterisk"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_target_on_a_request_line_is_a_path_or_a_url(target: str, found: tuple[str, str] | None) -> None:
    assert request_line.origin_form(target) == found


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param("/x?token=secret", "/x", id="query"),
        pytest.param("http://user:secret@a.example/x?token=secret", "/x", id="url"),
        pytest.param("//user:secret@a.example/x", "//user:secret@a.example/x", id="two-slashes-are-a-path"),
        pytest.param("user:secret@a.example:443", "a.example:443", id="authority"),
        pytest.param("/http://x", "/http://x", id="url-in-a-path"),
        pytest.param("*", "*", id="asterisk"),
    ],
)
def test_a_log_shows_only_the_path_of_a_target(target: str, shown: str) -> None:
    assert request_line.path_alone(target) == shown
