"""``adapter dev --wait``: wait until a local Lambda serves, for scripts that use it."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

import click

from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.service.control_api import STATUS
from adapter.errors import ConfigurationError
from adapter.net.address import Address

if TYPE_CHECKING:
    from adapter.config.load import Config

# The pause between two requests and the timeout of each, in seconds.
_PAUSE = 0.05
_REQUEST_TIMEOUT = 2.0
# How long to wait before a line says so, in seconds: adapter dev may have been started just now.
_SILENCE = 1.0


def wait_for_dev(config: Config) -> int:
    """Wait until an ``adapter dev`` answers, up to ``--readiness-timeout``; return 0, or 1 if none does.

    A line says what it waits for if that takes long, and another one why it gave up. Raises ConfigurationError if the
    options do not say which port to ask.
    """
    settings = UrlSettings(config)
    if not settings.invoke_port:
        raise ConfigurationError(
            ["--wait: needs the port of the other adapter dev; name it with --port or --invoke-port"]
        )
    address = Address(host=settings.host, port=settings.invoke_port).local
    timeout = config.readiness_timeout
    begun = time.monotonic()
    is_logged = False
    while problem := _problem(address):
        waited = time.monotonic() - begun
        if waited >= timeout:
            _log(f"gave up after {timeout:g} s: {address}: {problem}; start adapter dev, or name its --invoke-port")
            return 1
        if not is_logged and waited >= _SILENCE:
            is_logged = True
            _log(f"up to {timeout:g} s (--readiness-timeout) for the Invoke APIs on {address}: {problem}")
        time.sleep(_PAUSE)
    return 0


def _log(text: str) -> None:
    click.echo(f"adapter dev --wait: {text}", err=True)


def _problem(address: Address) -> str:
    """Return why no ``adapter dev`` answers at ``address``; empty if one does."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_REQUEST_TIMEOUT)
    try:
        connection.request("GET", STATUS, headers={"Host": f"localhost:{address.port}"})
        response = connection.getresponse()
        response.read()
    except ConnectionRefusedError:
        return "nothing listens there"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if response.status == 200 else f"answers with {response.status}, so it is not adapter dev"
