"""Parses numbers in strings from outside the program: headers, variables, flags, files.

Python's int() and float() accept too much for such strings: signs, spaces, underscores, digits of every script,
infinity and NaN. int() also raises an error of its own for more than 4,300 digits.
"""

from __future__ import annotations

# The longest wait, in seconds (11 days). poll(2) accepts at most 24.8 days, in milliseconds.
LONGEST_WAIT = 1_000_000
# The largest number that every reader of JSON keeps exactly (RFC 8259, section 6).
LARGEST_IN_JSON = 2**53 - 1
# The maximum number of digits that are passed to int().
_MOST_DIGITS = 19


def whole_number(text: str, most: int) -> int | None:
    """Return ``text`` as a number if it consists of ASCII digits and does not exceed ``most``, else None."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    number = int(text)
    return number if number <= most else None


def decimal(text: str) -> float | None:
    """Return the number in ``text``, for example ``2``, ``0.5`` or ``1e-6``. Return None for any other string."""
    if not text.isascii() or "_" in text or text[:1] not in "0123456789." or text != text.rstrip():
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    # A NaN fails every comparison.
    return number if number < float("inf") else None
