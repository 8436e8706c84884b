"""The inspector's server: the page's files, its live events, and the API with which the page reads and acts."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs

import orjson

from adapter import __version__
from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.inspector.detail import DetailView, masker_for
from adapter.emulator.inspector.live import LiveEvents
from adapter.emulator.inspector.masking import Masker, query_secrets
from adapter.emulator.inspector.page_access import SAFETY_HEADERS, is_allowed, path_after_token
from adapter.emulator.inspector.summary import environment, summary
from adapter.net.bounded_body import read_body
from adapter.net.server import BodyTruncatedError
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.records.ring import RecordRing
    from adapter.net.server import Exchange
    from adapter.payload.request import RequestRules

#: The names of the files of the page may have these suffixes.
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_JSON = ("content-type", "application/json")

Query: TypeAlias = dict[str, list[str]]


class RefusedAction(Exception):
    """The page asked for something that is not possible. The message is shown to the user."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Inspector:
    """Serves the page and its API below ``/TOKEN/``.

    ``secret_values`` are masked in everything that is shown. ``rules`` are those by which the runtime makes requests
    for the app, or None if they are not known.
    """

    def __init__(
        self,
        ring: RecordRing,
        function: LocalFunction,
        settings: UrlSettings,
        *,
        secret_values: Iterable[str] = (),
        rules: RequestRules | None = None,
    ) -> None:
        self.token = secrets.token_urlsafe(24)
        self._ring = ring
        self._function = function
        self._settings = settings
        self._secrets = frozenset(secret_values)
        self._view = DetailView(rules, shows_bodies=settings.config.inspector_bodies == "all")
        self._started_at = time.time()
        self._started = asyncio.get_running_loop().time()
        self._stopped = asyncio.Event()
        self._files = _page_files()
        self._common_masker = Masker(self._secrets)

    def stop(self) -> None:
        """End the event streams of all pages."""
        self._stopped.set()

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. A request without the token gets no hint at what is served here."""
        rest = path_after_token(exchange.target, self.token)
        if rest is None or not is_allowed(exchange):
            exchange.keep_alive = False
            exchange.respond(404, [("content-type", "text/plain"), *SAFETY_HEADERS], b"not found\n")
            return
        path, _, query = rest.partition("?")
        try:
            await self._route(exchange, path, parse_qs(query))
        except RefusedAction as refusal:
            _respond_json(exchange, {"error": str(refusal)}, status=refusal.status)
        except BodyTruncatedError:
            exchange.keep_alive = False

    async def _route(self, exchange: Exchange, path: str, query: Query) -> None:
        """Answer the request for ``path``, which is relative to the token. Raises RefusedAction."""
        name, _, rest = path.partition("/")
        if exchange.method == "POST":
            body = await _json_body(exchange)
            raise RefusedAction(404, f"{path} is not an action, {len(body)}")
        if exchange.method != "GET":
            raise RefusedAction(405, f"{exchange.method} is not possible; use GET or POST")
        if path == "events":
            await LiveEvents(self._ring, self._hello, self._environments, self._summary).serve(
                exchange, self._stopped, SAFETY_HEADERS
            )
        elif name == "records":
            self._get_record(exchange, rest, query)
        elif (content := self._files.get(path or "index.html")) is not None:
            suffix = (path or "index.html").rpartition(".")[2]
            exchange.respond(200, [("content-type", _TYPES[suffix]), *SAFETY_HEADERS], content.read_bytes())
        else:
            raise RefusedAction(404, f"{path} does not exist")

    def _get_record(self, exchange: Exchange, rest: str, query: Query) -> None:
        record = self._find(rest)
        masker = masker_for(record, self._secrets, reveals=_is_on(query, "unmask"))
        _respond_json(exchange, self._detail(record, masker, with_bodies=query.get("bodies") != ["0"]))

    def _detail(self, record: RequestRecord, masker: Masker, *, with_bodies: bool) -> dict[str, Any]:
        return self._view.detail(record, masker, with_bodies=with_bodies) | {"cap": self._cap(record)}

    def _find(self, number: str) -> RequestRecord:
        record = self._ring.find(int(number)) if number.isascii() and number.isdigit() else None
        if record is None:
            raise RefusedAction(404, f"invocation {number} is not stored any more")
        return record

    # --- the state -------------------------------------------------------------------------------------------------

    def _hello(self) -> dict[str, Any]:
        """Return the first event of the stream: everything that the page shows at its start."""
        settings, config = self._settings, self._settings.config
        return {
            "version": __version__,
            "started": round(self._started_at * 1000),
            "limits": {
                "records": config.inspector_records,
                "memory": config.inspector_memory,
                "bodies": config.inspector_bodies,
                "streamLimit": settings.stream_limit,
                "bufferedLimit": BUFFERED_RESPONSE_LIMIT,
            },
            "function": {
                "name": self._function.settings.name,
                "memory": self._function.settings.memory,
                "timeout": self._function.settings.timeout,
                "mode": settings.invoke_mode,
                "doors": [
                    {
                        "door": door.rules.name,
                        "title": door.rules.title,
                        "address": f"http://127.0.0.1:{door.port}",
                        "mode": "streaming" if door.streaming else "buffered",
                    }
                    for door in settings.doors
                ],
            },
            "environments": self._environments(),
            "records": [self._summary(record) for record in self._ring],
        }

    def _environments(self) -> list[dict[str, Any]]:
        return [environment(*lane, self._started) for lane in self._function.lanes()]

    def _summary(self, record: RequestRecord) -> dict[str, Any]:
        own = list(query_secrets(record.client_target))
        return summary(record, Masker([*self._secrets, *own]) if own else self._common_masker)

    def _cap(self, record: RequestRecord) -> dict[str, int] | None:
        """Return the bandwidth cap of the response, or None if it has none."""
        if record.mode != "streaming":
            return None
        doors = {door.rules.name: door.bandwidth for door in self._settings.doors}
        bandwidth = doors.get(record.door, self._settings.bandwidth)
        return None if bandwidth is None else {"burst": bandwidth.burst, "rate": bandwidth.rate}


def _page_files() -> dict[str, Traversable]:
    """Return the files of the page by their paths."""
    found: dict[str, Traversable] = {}
    pending = [("", resources.files(__package__) / "page")]
    while pending:
        prefix, folder = pending.pop()
        for each in folder.iterdir() if folder.is_dir() else ():
            if each.is_dir():
                pending.append((f"{prefix}{each.name}/", each))
            elif each.name.rpartition(".")[2] in _TYPES:
                found[prefix + each.name] = each
    return found


async def _json_body(exchange: Exchange) -> dict[str, Any]:
    """Read and return the JSON object in the request. Raises RefusedAction."""
    content_type = first_values(exchange.headers).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RefusedAction(415, "the request needs Content-Type: application/json")
    body = await read_body(exchange, 2 * BUFFERED_RESPONSE_LIMIT)
    if body is None:
        raise RefusedAction(413, "the request is larger than any event can be")
    try:
        parsed = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise RefusedAction(400, f"the request is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise RefusedAction(400, "the request is not a JSON object")
    return parsed


def _respond_json(exchange: Exchange, data: Any, *, status: int = 200) -> None:
    exchange.respond(status, [_JSON, *SAFETY_HEADERS], orjson.dumps(data))


def _is_on(query: Query, name: str) -> bool:
    return query.get(name) == ["1"]
