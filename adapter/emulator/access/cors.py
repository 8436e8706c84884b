"""The CORS configuration of a function URL or an HTTP API. With it, AWS answers preflights and sets response headers.

AWS documents that a preflight never reaches the function, and that CORS headers of the function are ignored (API
Gateway, "Configure CORS for HTTP APIs"; Lambda, "Cross-origin resource sharing"). If a request is not from an allowed
origin, or if the front door answers with an error, the response has no CORS headers. AWS does not document the status
with which a function URL answers a preflight, nor whether a function URL with AllowCredentials sends the origin ``*``
unchanged [unsure]. Browsers refuse ``*`` together with credentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter.config.parsers import nearest
from adapter.emulator.access.json_option import by_door, read_json_object
from adapter.errors import ConfigurationError
from adapter.payload.headers import first, is_token, is_value

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

FUNCTION_URL, HTTP_API = "function-url", "http-api"
#: The front doors that have a CORS configuration.
CORS_DOORS = (FUNCTION_URL, HTTP_API)
_LISTS = ("AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders")
_FIELDS = ("AllowCredentials", *_LISTS, "MaxAge")
# The methods that AWS accepts in AllowMethods, by front door. For a function URL, AWS limits a method to 6 characters,
# so OPTIONS is not possible.
_METHODS = {
    FUNCTION_URL: ("GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"),
    HTTP_API: ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "*"),
}
# The lowest MaxAge that AWS accepts, by front door, and the highest, which is the same for both. In seconds.
_LOWEST_AGE, _HIGHEST_AGE = {FUNCTION_URL: 0, HTTP_API: -1}, 86_400
# The maximum number of items in a list, and of characters in an origin and in a header name (Lambda, "Cors").
_MOST_ITEMS, _ORIGIN_LENGTH, _NAME_LENGTH = 100, 253, 1024
_PREFLIGHT_STATUS = {FUNCTION_URL: 200, HTTP_API: 204}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """The CORS configuration of the front door ``door``. ``max_age`` is in seconds, or None if it is not set."""

    door: str
    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    credentials: bool
    max_age: int | None

    def preflight(self, method: str, headers: Headers) -> tuple[int, Headers, bytes] | None:
        """Return status, headers and body of the answer to a preflight, or None if the request is not a preflight."""
        if method != "OPTIONS" or not first(headers, "origin") or not first(headers, "access-control-request-method"):
            return None
        answer = self._allowed(headers)
        if answer:
            for name, values in (("methods", self.methods), ("headers", self.headers)):
                if values:
                    answer.append((f"access-control-allow-{name}", ",".join(values)))
            if self.max_age is not None:
                answer.append(("access-control-max-age", str(self.max_age)))
        return _PREFLIGHT_STATUS[self.door], answer, b""

    def replace(self, request: Headers, response: Headers) -> Headers:
        """Return ``response`` with the function's CORS headers replaced by AWS's CORS headers.

        ``request`` contains the headers of the request, and ``response`` the headers of the function's response.
        """
        kept = [header for header in response if not header[0].lower().startswith("access-control-")]
        answer = self._allowed(request)
        if answer and self.exposed:
            answer.append(("access-control-expose-headers", ",".join(self.exposed)))
        return kept + answer

    def _allowed(self, request: Headers) -> Headers:
        """Return the headers that allow the request's origin, or [] if the origin is missing or not allowed."""
        origin = first(request, "origin")
        if not origin or not any(self._matches(allowed, origin) for allowed in self.origins):
            return []
        answer = [("access-control-allow-origin", "*" if "*" in self.origins else origin)]
        if self.credentials:
            answer.append(("access-control-allow-credentials", "true"))
        return answer

    def _matches(self, allowed: str, origin: str) -> bool:
        if self.door == HTTP_API and allowed in ("https://*", "http://*"):
            return origin.startswith(allowed[:-1])
        return allowed in ("*", origin)


def read_cors(value: str, source: str, doors: Sequence[str]) -> dict[str, Cors]:
    """Return the CORS configurations in ``value``, by front door. ``value`` is a JSON object, or the name of a file.

    The JSON object is either one configuration for all front doors in ``doors`` that have CORS, or it maps names of
    front doors to configurations. A field's name may begin with a small letter, as in API Gateway's API. ``source``
    names the option in messages. Raises ConfigurationError with all mistakes if there is at least one.
    """
    content = read_json_object(value, source)
    found, mistakes = {}, []
    for door, part in by_door(content, doors, CORS_DOORS).items():
        if not isinstance(part, dict):
            mistakes.append(f"{source}: the value of {door!r} is not a JSON object")
            continue
        fields = {name[:1].upper() + name[1:]: each for name, each in part.items() if each is not None}
        found[door] = _parsed(door, fields)
        mistakes += [f"{source}: {problem}" for problem in _mistakes(door, fields)]
    if mistakes:
        raise ConfigurationError(list(dict.fromkeys(mistakes)))
    return found


def _parsed(door: str, fields: dict[str, Any]) -> Cors:
    def items(name: str) -> tuple[str, ...]:
        values = fields.get(name)
        return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list) else ()

    age = fields.get("MaxAge")
    return Cors(
        door=door,
        origins=items("AllowOrigins"),
        methods=items("AllowMethods"),
        headers=items("AllowHeaders"),
        exposed=items("ExposeHeaders"),
        credentials=fields.get("AllowCredentials") is True,
        max_age=age if isinstance(age, int) and not isinstance(age, bool) else None,
    )


def _mistakes(door: str, fields: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each mistake in ``fields`` for which AWS would reject the configuration."""
    for name, value in fields.items():
        if name not in _FIELDS:
            yield f"{name!r} is not a field{nearest(name, _FIELDS)}; use {', '.join(_FIELDS)}"
        elif name in _LISTS:
            yield from _list_mistakes(door, name, value)
    if not isinstance(fields.get("AllowCredentials", False), bool):
        yield f"AllowCredentials: {fields['AllowCredentials']!r} is not true or false"
    age, lowest = fields.get("MaxAge", 0), _LOWEST_AGE[door]
    if not isinstance(age, int) or isinstance(age, bool) or not lowest <= age <= _HIGHEST_AGE:
        yield f"MaxAge: {age!r} is not a number of seconds from {lowest} to {_HIGHEST_AGE}"
    if door == HTTP_API and fields.get("AllowCredentials") is True and "*" in (fields.get("AllowOrigins") or ()):
        yield "AllowCredentials: is not possible with the origin * in an HTTP API; name the origins"


def _list_mistakes(door: str, name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        yield f"{name}: {value!r} is not a list of strings"
        return
    if len(value) > _MOST_ITEMS:
        yield f"{name}: has {len(value)} items; AWS accepts at most {_MOST_ITEMS}"
    for item in value:
        if name == "AllowMethods":
            if item not in _METHODS[door]:
                yield f"AllowMethods: {item!r} is not a method that {door} accepts; use {', '.join(_METHODS[door])}"
        elif name == "AllowOrigins":
            if not 1 <= len(item) <= _ORIGIN_LENGTH or not is_value(item) or (item != "*" and "://" not in item):
                yield f"AllowOrigins: {item!r} is not an origin; use one such as https://www.example.com"
        elif not is_token(item) or len(item) > _NAME_LENGTH:
            yield f"{name}: {item!r} is not a header name"
