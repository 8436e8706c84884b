"""Large texts in pieces: the result is what the standard library makes of the whole text."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.payload import json_text
from adapter.payload.json_text import PIECE, decode_text, encode_text

# What may stand inside of a JSON string, and what may not. With pieces of a few bytes, each is cut at every place.
PARTS = st.lists(
    st.sampled_from(
        [
            *("a", "z", " ", "0", "é", "я", "語", "🎉", "\x7f", "\u2028", '",', '"'),
            *('\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u00e9", "\\ud83c\\udf89"),
            *("\\ud83c", "\\udf89", "\\u12", "\\x41", "\\'", "\\", "\n", "\x00", "\x1f", '",\\"', '\\",'),
        ]
    ),
    max_size=12,
).map("".join)
# Bytes that are not UTF-8: a lone lead, a lone continuation, a surrogate, an overlong form, and none of it.
DAMAGE = st.sampled_from([b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b""])


def by_the_standard_library(raw: bytes, start: int) -> tuple[bytearray, int] | None:
    """The text of the string from ``start`` on in UTF-8, and the place of its last quote. None without such a text."""
    try:
        _, end = json.JSONDecoder().raw_decode(raw.decode("latin-1"), start - 1)
        return bytearray(json.loads(raw[start - 1 : end].decode()).encode()), end - 1
    except ValueError:
        return None


@pytest.mark.parametrize("piece", [1, 3, 8, PIECE])
@given(inside=PARTS, damage=DAMAGE, after=st.sampled_from(['"}', '","flag":false}', '", "x": "y"}', "", '"']))
@example(inside="a" * 600, damage=b"", after='"')
@example(inside="\\n" * 600, damage=b"", after='","x":1}')
def test_a_string_is_decoded_like_the_whole_of_it(piece: int, inside: str, damage: bytes, after: str) -> None:
    raw = b'{"body":"' + inside.encode() + damage + after.encode()
    start = len(b'{"body":"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "PIECE", piece)
        decoded = decode_text(raw, start)
        assert decode_text(bytearray(raw), start) == decoded
    assert decoded == by_the_standard_library(raw, start)


@pytest.mark.parametrize("piece", [4, 5, 8, PIECE])
@given(text=st.text(max_size=40), damage=DAMAGE, more=st.text(max_size=8))
def test_a_text_is_encoded_like_the_whole_of_it(piece: int, text: str, damage: bytes, more: str) -> None:
    raw = text.encode() + damage + more.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "PIECE", piece)
        pieces = encode_text(raw)
        assert encode_text(bytearray(raw)) == pieces
    if pieces is None:
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
    else:
        assert json.loads(b'"' + b"".join(pieces) + b'"') == raw.decode()


def test_a_large_text_has_several_pieces() -> None:
    text = ("é" * 7 + '"\n').encode() * (3 * PIECE // 16)
    pieces = encode_text(text)
    assert pieces is not None
    assert len(pieces) == 3
    assert decode_text(b"".join([*pieces, b'"']), 0) == (bytearray(text), sum(map(len, pieces)))
