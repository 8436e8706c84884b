"""The inspector's server: it serves the page's files, its live events, and the API that the page calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs

import orjson

from adapter import __version__
from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.config.parsers import seconds as idle_seconds
from adapter.emulator.inspector.detail import DetailView, masker_for
from adapter.emulator.inspector.errors import RefusedAction
from adapter.emulator.inspector.exports import Exports
from adapter.emulator.inspector.live import LiveEvents
from adapter.emulator.inspector.masking import Masker
from adapter.emulator.inspector.page_access import SAFETY_HEADERS, is_allowed, path_after_token
from adapter.emulator.inspector.summary import environment, summary
from adapter.emulator.inspector.verdicts import Verdicts
from adapter.emulator.terminal.prices import record_cost
from adapter.errors import ConfigurationError
from adapter.net.server import BodyTruncatedError
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.inspector.sender import Sender
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.records.ring import RecordRing
    from adapter.emulator.terminal.prices import PriceTable
    from adapter.net.server import Exchange
    from adapter.payload.request import RequestRules

#: Only files with these suffixes belong to the page.
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_JSON = ("content-type", "application/json")

Query: TypeAlias = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectorParts:
    """The parts of the emulator that the inspector uses.

    ``token`` is the secret part of the inspector's URL. ``started`` is a pair: the time of the emulator's start in
    seconds since the epoch, and the same time on the event loop's clock. ``lanes`` returns the states of
    each environment over time (``LocalFunction.lanes``). ``age`` adds seconds to the idle time of all environments.
    ``replace_faults`` replaces the injected faults by those in a string, and raises ConfigurationError if the string is
    not valid. ``secret_values`` are masked everywhere on the page. ``rules`` are the runtime's rules for converting an
    event to the app's request, or None if the rules are not known.
    """

    token: str
    started: tuple[float, float]
    ring: RecordRing
    settings: UrlSettings
    function: FunctionSettings
    sender: Sender
    prices: PriceTable
    lanes: Callable[[], list[tuple[int, int | None, list[tuple[float, str]]]]]
    age: Callable[[float], None]
    replace_faults: Callable[[str], None]
    secret_values: frozenset[str] = frozenset()
    rules: RequestRules | None = None


class Inspector:
    """Serves the page and its API below ``/TOKEN/``."""

    def __init__(self, parts: InspectorParts) -> None:
        self._parts = parts
        self._ring = parts.ring
        self._settings = parts.settings
        self._secrets = parts.secret_values
        self._view = DetailView(parts.rules, shows_bodies=parts.settings.config.inspector_bodies == "all")
        self._verdicts = Verdicts(parts.settings, parts.prices)
        self._exports = Exports(parts.settings)
        self._faults = parts.settings.config.faults
        self._started_at, self._started = parts.started
        self._stopped = asyncio.Event()
        self._files = _page_files()
        self._common_masker = Masker(self._secrets)

    def stop(self) -> None:
        """End the event streams of all pages."""
        self._stopped.set()

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. The answer to a request without the token does not reveal what the server is."""
        rest = path_after_token(exchange.target, self._parts.token)
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
        """Answer the request for ``path``, the path after the token. Raises RefusedAction if the request is refused."""
        if exchange.method == "POST":
            _respond_json(exchange, self._act(path, await _json_body(exchange)))
        elif exchange.method != "GET":
            raise RefusedAction(405, f"the method {exchange.method} is not possible; use GET or POST")
        elif path == "events":
            events = LiveEvents(self._ring, self._hello, self._environments, self._summary)
            await events.serve(exchange, self._stopped, SAFETY_HEADERS)
        elif path == "export":
            self._export(exchange, None, query)
        elif path.startswith("records/"):
            number, _, what = path.removeprefix("records/").partition("/")
            record = self._find(number)
            if what == "export":
                self._export(exchange, record, query)
            elif what:
                raise RefusedAction(404, f"{path} does not exist")
            else:
                _respond_json(exchange, await self._detail(record, query))
        elif (content := self._files.get(path or "index.html")) is not None:
            suffix = (path or "index.html").rpartition(".")[2]
            exchange.respond(200, [("content-type", _TYPES[suffix]), *SAFETY_HEADERS], content.read_bytes())
        else:
            raise RefusedAction(404, f"{path} does not exist")

    async def _detail(self, record: RequestRecord, query: Query) -> dict[str, Any]:
        with_bodies = query.get("bodies") != ["0"]
        detail = self._view.detail(record, self._masker(record, query), with_bodies=with_bodies)
        # While a stream runs, its verdicts would soon be outdated.
        verdicts = await self._verdicts.of(record) if with_bodies else []
        return {**detail, "cap": self._cap(record), "cost": self._cost(record), "verdicts": verdicts}

    def _export(self, exchange: Exchange, record: RequestRecord | None, query: Query) -> None:
        """Send an export of ``record``. If ``record`` is None, send the HTTP archive of all records.

        Raises RefusedAction if the record or the list cannot be exported in the requested format.
        """
        kind = query.get("as", [""])[0]
        try:
            if record is not None:
                export = self._exports.export(kind, record, self._masker(record, query))
                name = f"invocation-{record.number}{export.suffix}"
            elif kind == "har":
                export = self._exports.har([(each, self._masker(each, query)) for each in self._ring])
                name = f"invocations{export.suffix}"
            else:
                raise ValueError(f"the list of all invocations cannot be exported as {kind!r}; use har")
        except ValueError as error:
            raise RefusedAction(400, str(error)) from error
        disposition = f'attachment; filename="{name}"' if export.suffix else "inline"
        headers = [("content-type", export.content_type), ("content-disposition", disposition)]
        exchange.respond(200, [*headers, *SAFETY_HEADERS], export.content)

    def _masker(self, record: RequestRecord, query: Query | None = None) -> Masker:
        return masker_for(record, self._secrets, reveals=query is not None and query.get("unmask") == ["1"])

    def _find(self, number: str) -> RequestRecord:
        record = self._ring.find(int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None
        if record is None:
            raise RefusedAction(404, f"invocation {number} is not stored any more")
        return record

    # --- actions ---------------------------------------------------------------------------------------------------

    def _act(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Perform an action for the page, and return the answer. Raises RefusedAction if the action is refused."""
        if path.startswith("records/") and path.endswith("/replay"):
            record = self._find(path.removeprefix("records/").removesuffix("/replay"))
            return {"id": self._parts.sender.replay(record, fields.get("mode"))}
        if path == "send":
            based_on = self._find(str(fields["basedOn"])) if fields.get("basedOn") is not None else None
            masker = self._masker(based_on) if based_on is not None else self._common_masker
            return {"id": self._parts.sender.send(fields, based_on, masker)}
        if path == "clear":
            self._ring.clear()
            return {}
        if path == "faults":
            text = str(fields.get("fault", ""))
            try:
                self._parts.replace_faults(text)
            except ConfigurationError as error:
                raise RefusedAction(400, str(error)) from error
            self._faults = text
            return {"faults": self._fault_texts()}
        if path == "idle":
            try:
                self._parts.age(idle_seconds(str(fields.get("seconds", ""))))
            except ValueError as error:
                raise RefusedAction(400, f"seconds: {error}") from error
            return {}
        raise RefusedAction(404, f"{path} is not an action")

    def _fault_texts(self) -> list[str]:
        return [part.strip() for part in self._faults.split(",") if part.strip()]

    # --- the state -------------------------------------------------------------------------------------------------

    def _hello(self) -> dict[str, Any]:
        """Return the first event of the stream: all data that the page shows when it is opened."""
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
                "name": self._parts.function.name,
                "memory": self._parts.function.memory,
                "timeout": self._parts.function.timeout,
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
            "faults": self._fault_texts(),
            "environments": self._environments(),
            "records": [self._summary(record) for record in self._ring],
        }

    def _environments(self) -> list[dict[str, Any]]:
        return [environment(*lane, self._started) for lane in self._parts.lanes()]

    def _summary(self, record: RequestRecord) -> dict[str, Any]:
        # An error message may repeat a secret of its request. The rows of other records contain no secrets.
        if record.error_message or "?" in record.client_target:
            return summary(record, self._masker(record))
        return summary(record, self._common_masker)

    def _cost(self, record: RequestRecord) -> dict[str, Any] | None:
        """Return the cost of the invocation, or None if it costs nothing or its duration is not known yet."""
        if not record.report:
            return None
        region, prices = self._settings.config.region, self._parts.prices
        cost = record_cost(record, prices, region)
        return {
            "duration": cost.duration,
            "request": cost.request,
            "streaming": cost.streaming,
            "total": cost.total,
            "per1000": None if cost.total is None else cost.total * 1000,
            "currency": prices.currency,
            "region": region,
            "source": "; ".join(prices.sources_for(region)),
        }

    def _cap(self, record: RequestRecord) -> dict[str, int] | None:
        """Return the bandwidth cap of the response, or None if the response is not capped."""
        if record.mode != "streaming":
            return None
        doors = {door.rules.name: door.bandwidth for door in self._settings.doors}
        bandwidth = doors.get(record.door, self._settings.bandwidth)
        return None if bandwidth is None else {"burst": bandwidth.burst, "rate": bandwidth.rate}


def _page_files() -> dict[str, Traversable]:
    """Return the files of the page, with their paths as keys."""
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
    """Read and return the JSON object in the request. Raises RefusedAction if there is no such object."""
    content_type = first_values(exchange.headers).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RefusedAction(415, "the request needs the header Content-Type: application/json")
    body = await exchange.read_body(2 * BUFFERED_RESPONSE_LIMIT)
    if body is None:
        raise RefusedAction(413, "the request is larger than the largest possible event")
    try:
        parsed = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise RefusedAction(400, f"the request is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise RefusedAction(400, "the request is not a JSON object")
    return parsed


def _respond_json(exchange: Exchange, data: Any, *, status: int = 200) -> None:
    exchange.respond(status, [_JSON, *SAFETY_HEADERS], orjson.dumps(data))
