"""Masks secrets in everything that the inspector sends, unless the user chooses to see them.

These values are secrets: headers with credentials, cookies, query parameters whose names suggest a secret, and the
function's environment variables that look like secrets. A secret is masked wherever it occurs, because an app may
repeat a header in its response, or print a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus

import orjson
import pybase64

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

#: The text that replaces a secret.
MASK = "••••"

# The names of headers, query parameters and variables whose values are secrets.
_SECRET_HEADER = re.compile(
    r"(proxy-)?authorization|authentication|(set-)?cookie2?|.*(token|secret|password|passwd|credential|signature|"
    r"session-?id|csrf|xsrf|jwt|assertion|private).*|.*api-?key.*|.*access-?key.*|.*auth-?key.*|x-auth.*|.*-key",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r".*(token|secret|passw|credential|signature|api_?-?key|access_?-?key|session|jwt|assertion|private).*"
    r"|sig|pwd|key|code|auth",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(
    r".*(KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PWD|CREDENTIAL|SIGNATURE|SALT|PRIVATE|COOKIE|SESSION|AUTH|DSN|CONNECTION|"
    r"DATABASE_UR|WEBHOOK|JWT).*|.*PASS",
    re.IGNORECASE,
)
# Variables that have a name like a secret, but no secret value.
_HARMLESS_VARIABLES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "DESKTOP_SESSION", "XDG_SESSION_ID"})
# Values that are secrets under any name: those that look like a generated key, and the password in a URL.
_KEY_LIKE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w+/=.~-]{20,}")
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)
# The minimum length of a secret that is masked everywhere. A shorter one is masked only at its own place, because a
# cookie "a=1" must not mask every 1.
_SHORTEST = 6


def is_secret_header(name: str) -> bool:
    """Return whether the values of the header ``name`` are secrets."""
    return _SECRET_HEADER.fullmatch(name) is not None


def environment_secrets(variables: Mapping[str, str], chosen: Iterable[str] = ()) -> frozenset[str]:
    """Return the values of ``variables`` that are secrets.

    ``chosen`` are the names of the variables that the user has set for this function only, for example in an env file.
    The value of such a variable is a secret if it has at least 12 characters. The values of a few harmless variables,
    such as PWD, are never secrets.
    """
    secrets = set()
    own = frozenset(chosen)
    for name, value in variables.items():
        if name in _HARMLESS_VARIABLES or len(value) < _SHORTEST:
            continue
        if password := _URL_PASSWORD.search(value):
            secrets.add(password[1])
        is_secret = _SECRET_VARIABLE.fullmatch(name) or (name in own and len(value) >= 2 * _SHORTEST)
        if is_secret or (not value.startswith("/") and _KEY_LIKE.fullmatch(value)):
            secrets.add(value)
    return frozenset(secrets)


def header_secrets(headers: Headers) -> Iterator[str]:
    """Yield the secrets in ``headers``, and their other forms, such as the decoded password of Basic credentials."""
    for name, value in headers:
        if not is_secret_header(name):
            continue
        yield value
        lowered = name.lower()
        if lowered == "cookie":
            yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
        elif lowered == "set-cookie":
            yield value.partition(";")[0].partition("=")[2].strip()
        else:
            scheme, _, credentials = value.partition(" ")
            credentials = credentials.strip()
            yield credentials
            if scheme.lower() == "basic":
                yield from _basic_secrets(credentials)


def _basic_secrets(credentials: str) -> Iterator[str]:
    try:
        text = pybase64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return
    yield text
    yield text.partition(":")[2]


def query_secrets(target: str) -> Iterator[str]:
    """Yield the values of the query parameters in ``target`` whose names suggest a secret, such as ``token``."""
    for name, value in parse_qsl(target.partition("?")[2]):
        if _SECRET_PARAMETER.fullmatch(name):
            yield value


class Masker:
    """Replaces ``secrets`` in strings and bytes, and the values of secret headers in lists of headers.

    If ``reveals`` is True, nothing is replaced.
    """

    def __init__(self, secrets: Iterable[str] = (), *, reveals: bool = False) -> None:
        self.reveals = reveals
        forms: set[str] = set()
        for secret in () if reveals else secrets:
            if len(secret) >= _SHORTEST:
                forms |= _forms(secret)
        # A secret may contain another one, so the longest is replaced first.
        ordered = sorted(forms, key=len, reverse=True)
        self._text = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._bytes = re.compile(b"|".join(re.escape(each.encode()) for each in ordered)) if ordered else None

    def text(self, text: str) -> str:
        """Return ``text`` with each secret replaced by the mask."""
        return text if self._text is None else self._text.sub(MASK, text)

    def data(self, data: bytes) -> bytes:
        """Return ``data`` with each secret replaced by the mask."""
        return data if self._bytes is None else self._bytes.sub(MASK.encode(), data)

    def headers(self, headers: Headers) -> list[list[str]]:
        """Return ``headers`` with masked secrets, as a list of pairs that JSON can encode."""
        return [[name, self._value(name, value)] for name, value in headers]

    def target(self, target: str) -> str:
        """Return ``target``, with masked values of secret query parameters."""
        path, mark, query = target.partition("?")
        if not mark or self.reveals:
            return target if self.reveals else self.text(target)
        return f"{self.text(path)}?{'&'.join(map(self._pair, query.split('&')))}"

    def _pair(self, pair: str) -> str:
        """Return ``pair`` (``name=value`` in a query), with the whole value masked if the name suggests a secret."""
        name, equals, value = pair.partition("=")
        if value and _SECRET_PARAMETER.fullmatch(unquote_plus(name)):
            return f"{name}={MASK}"
        return f"{name}{equals}{self.text(value)}"

    def value(self, value: Any, name: str = "") -> Any:
        """Return the JSON value ``value`` with masked secrets. ``name`` is the key of ``value`` in its JSON object.

        Secret headers in ``headers`` and ``multiValueHeaders`` are recognized by their names; ``cookies`` are always
        secret.
        """
        if self.reveals:
            return value
        if isinstance(value, dict):
            if name in ("headers", "multiValueHeaders"):
                return {key: self._by_name(key, each, is_secret_header(key)) for key, each in value.items()}
            if name in ("queryStringParameters", "multiValueQueryStringParameters"):
                return {
                    key: self._by_name(key, each, bool(_SECRET_PARAMETER.fullmatch(key))) for key, each in value.items()
                }
            return {key: self.value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            if name == "cookies":
                return [_cookie(each) if isinstance(each, str) else each for each in value]
            return [self.value(each) for each in value]
        if not isinstance(value, str):
            return value
        return self.target(f"?{value}")[1:] if name == "rawQueryString" else self.text(value)

    def _by_name(self, name: str, value: Any, is_secret: bool) -> Any:
        if not is_secret:
            return self.value(value)
        if isinstance(value, list):
            return [self._value(name, str(each)) for each in value]
        return self._value(name, str(value))

    def _value(self, name: str, value: str) -> str:
        if self.reveals:
            return value
        lowered = name.lower()
        if lowered == "cookie":
            return "; ".join(_cookie(pair.strip()) for pair in value.split(";"))
        if lowered == "set-cookie":
            return _cookie(value)
        return MASK if is_secret_header(name) or _SECRET_PARAMETER.fullmatch(name) else self.text(value)


def _cookie(text: str) -> str:
    """Return the cookie ``text`` with a masked value. The cookie's attributes are unchanged."""
    pair, semicolon, attributes = text.partition(";")
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}{semicolon}{attributes}" if equals else MASK


def _forms(secret: str) -> set[str]:
    """Return the forms in which ``secret`` may occur: unchanged, escaped for JSON, and encoded for a URL."""
    escaped = orjson.dumps(secret.encode("utf-8", "replace").decode()).decode()[1:-1]
    return {secret, escaped, escaped.replace("/", "\\/"), quote(secret), quote(secret, safe=""), quote_plus(secret)}
