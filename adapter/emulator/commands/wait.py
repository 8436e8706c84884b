"""``adapter dev --wait``: for scripts, which have to know when the local Lambda can be asked."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

import click

from adapter.emulator.front_doors.settings import UrlSettings
from adapter.emulator.service.control import STATUS
from adapter.errors import ConfigurationError
from adapter.net.address import Address

if TYPE_CHECKING:
    from adapter.config.load import Config

# How long between two questions, and how long for one of them, in seconds.
_PAUSE = 0.05
_PATIENCE = 2.0
# How long it is waited for without a word, in seconds: it may have been started just now.
_SILENCE = 1.0


def wait_for_dev(config: Config) -> int:
    """Wait until an ``adapter dev`` answers, as long as an app may take to be ready; exit code 1 if none does.

    Where it has to wait for long a line says for what, and another one at the end why it was in vain. Raises
    ConfigurationError where it cannot be known which port to ask.
    """
    settings = UrlSettings(config)
    if not settings.invoke_port:
        raise ConfigurationError(["--wait: needs the port that the other has; name it with --port or --invoke-port"])
    address = Address(host=settings.host, port=settings.invoke_port).local
    patience = config.readiness_timeout
    begun = time.monotonic()
    give_up = begun + patience
    said = False
    while problem := _ask(address):
        if time.monotonic() >= give_up:
            _say(f"gave up after {patience:g} s: {address}: {problem}; start adapter dev, or name its --invoke-port")
            return 1
        if not said and time.monotonic() >= begun + _SILENCE:
            said = True
            _say(f"up to {patience:g} s (--readiness-timeout) for the Invoke APIs on {address}: {problem}")
        time.sleep(_PAUSE)
    return 0


def _say(text: str) -> None:
    click.echo(f"adapter dev --wait: {text}", err=True)


def _ask(address: Address) -> str:
    """What is wrong, or an empty text."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_PATIENCE)
    try:
        connection.request("GET", STATUS, headers={"Host": f"localhost:{address.port}"})
        response = connection.getresponse()
        response.read()
    except ConnectionRefusedError:
        return "nobody listens there"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if response.status == 200 else f"answers with {response.status}, so it is no adapter dev"
