"""Converts large JSON strings to UTF-8 and back, without a Python string for the whole text.

A Python string with characters beyond Latin-1 has two or four bytes for each character. Converting such a string from
and to UTF-8 takes most of the time for a large body. So a text is converted in pieces, which stay in the processor's
cache. No piece ends within a character or an escape.
"""

from __future__ import annotations

from _json import scanstring

import orjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: The size of a piece in bytes.
PIECE: Final = 64 * 1024
# A JSON text may be cut before any byte but these: the bytes of an escape, and the further bytes of a character. (If a
# backslash precedes any other byte, the text is not JSON, whether it is cut or not.)
_INSEPARABLE = b'\\"/bfnrtu0123456789abcdefABCDEF' + bytes(range(0x80, 0xC0))
# How many bytes before its full size a piece may be cut.
_LOOK_BACK = 256
_BACKSLASH = 0x5C


def decode_text(raw: bytes | bytearray, start: int) -> tuple[bytearray, int] | None:
    """Decode the JSON string whose text begins at ``start``. Return its text in UTF-8, and where its closing quote is.

    Return None if the string is not valid JSON, or if it contains a lone surrogate, which has no UTF-8 form.
    """
    view = memoryview(raw)
    end = _furthest_end(raw, start)
    text = bytearray(max(0, end - start))
    size = 0
    is_end_known = False
    while start < end:
        cut = _place_to_cut(raw, start, end)
        try:
            piece = orjson.loads(b"".join((b'"', view[start:cut], b'"'))).encode()
        except orjson.JSONDecodeError:
            # The string ends within this piece, or it is not valid.
            if is_end_known:
                return None
            end = _end_of_string(bytes(view[start:cut]), start)
            is_end_known = True
            continue
        text[size : size + len(piece)] = piece
        size += len(piece)
        start = cut
    if start != end:
        return None
    del text[size:]
    return text, end


def _furthest_end(raw: bytes | bytearray, start: int) -> int:
    """Return the furthest place where the string that begins at ``start`` may end, or -1 if there is no quote.

    It is the place of a quote. Usually this quote ends the string, because front doors write the body last, or before a
    flag.
    """
    end = raw.rfind(b'",', start)
    if end < 0 or raw[end - 1] == _BACKSLASH:
        end = raw.rfind(b'"', start)
    return end


def _end_of_string(piece: bytes, start: int) -> int:
    """Return ``start`` plus the place of the first quote in ``piece`` that no backslash escapes.

    Return -1 if there is no such quote, or if ``piece`` is not valid up to this quote. ``piece`` is decoded as Latin-1,
    so that each byte becomes one character. In UTF-8, the bytes of a quote and a backslash occur in no other character.
    """
    try:
        end: int = scanstring(piece.decode("latin-1"), 0, True)[1]
    except ValueError:
        return -1
    return start + end - 1


def _place_to_cut(raw: bytes | bytearray, start: int, end: int) -> int:
    """Return the end of the piece that begins at ``start`` in a JSON text. The last piece ends at ``end``."""
    cut = start + PIECE
    if cut >= end:
        return end
    for place in range(cut, max(start, cut - _LOOK_BACK), -1):
        if raw[place] not in _INSEPARABLE:
            return place
    return end


def encode_text(text: bytes | bytearray) -> list[bytes] | None:
    """Return ``text`` as a JSON string without its quotes, in pieces. Return None if ``text`` is not UTF-8."""
    view = memoryview(text)
    pieces: list[bytes] = []
    start, end = 0, len(text)
    try:
        while start < end:
            cut = _end_of_characters(text, start + PIECE)
            pieces.append(orjson.dumps(str(view[start:cut], "utf-8"))[1:-1])
            start = cut
    except UnicodeDecodeError:
        return None
    return pieces


def _end_of_characters(text: bytes | bytearray, end: int) -> int:
    """Return the last place up to ``end`` that is not within a character. ``text`` is assumed to be UTF-8."""
    if end >= len(text):
        return len(text)
    for place in range(end, end - 4, -1):
        if text[place] & 0xC0 != 0x80:
            return place
    return end
