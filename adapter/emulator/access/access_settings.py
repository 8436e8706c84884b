"""The settings of access to front doors: ``--auth``, ``--auth-key-file``, ``--cors`` and ``--authorizer-context``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.config.load import TEMPLATE
from adapter.emulator.access.cors import CORS_DOORS, FUNCTION_URL, Cors, read_cors
from adapter.emulator.access.json_option import by_door, read_json_object
from adapter.emulator.access.key_pair import KeyPair, make_key_pair, read_key_pair
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.config.load import Config

AWS_IAM = "aws-iam"
#: The front doors whose events contain an authorizer's context.
_AUTHORIZER_DOORS = ("http-api", "rest-api")


@dataclass(slots=True, kw_only=True)
class AccessSettings:
    """The access settings of all front doors.

    ``key`` is the key pair with which requests to a function URL must be signed; None if no signature is needed.
    ``cors`` maps names of front doors to CORS configurations, and ``authorizers`` maps names of front doors to the
    authorizers' contexts.
    """

    key: KeyPair | None = None
    cors: dict[str, Cors] = field(default_factory=dict)
    authorizers: dict[str, dict[str, Any]] = field(default_factory=dict)


def access_settings(config: Config, doors: Sequence[str]) -> AccessSettings:
    """Return the access settings of the front doors named in ``doors``.

    Raises ConfigurationError with all mistakes if there is at least one.
    """
    settings = AccessSettings()
    mistakes = list(_contradictions(config, doors))
    for read in (_read_key, _read_cors, _read_authorizers):
        try:
            read(settings, config, doors)
        except ConfigurationError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def _read_key(settings: AccessSettings, config: Config, doors: Sequence[str]) -> None:
    if config.auth == AWS_IAM and FUNCTION_URL in doors:
        file = config.auth_key_file
        settings.key = read_key_pair(file, config.sources["auth_key_file"]) if file else make_key_pair()


def _read_cors(settings: AccessSettings, config: Config, doors: Sequence[str]) -> None:
    if config.cors is not None:
        settings.cors = read_cors(config.cors, config.sources["cors"], doors)


def _read_authorizers(settings: AccessSettings, config: Config, doors: Sequence[str]) -> None:
    if config.authorizer_context is None:
        return
    source = config.sources["authorizer_context"]
    parts = by_door(read_json_object(config.authorizer_context, source), doors, _AUTHORIZER_DOORS)
    wrong = [door for door, part in parts.items() if type(part) is not dict]
    if wrong:
        raise ConfigurationError([f"{source}: the value of {door!r} is not a JSON object" for door in wrong])
    settings.authorizers = parts


def _contradictions(config: Config, doors: Sequence[str]) -> Iterator[str]:
    """Yield a message for each option without an effect, and for a generated key pair that the log would not show.

    An option from a template may have no effect, because flags may choose other front doors than the template.
    """
    sources = config.sources
    is_iam = config.auth == AWS_IAM and FUNCTION_URL in doors
    if config.auth == AWS_IAM and not is_iam and sources["auth"] != TEMPLATE:
        yield f"{sources['auth']}: 'aws-iam' has no effect without a function URL; add --front-door {FUNCTION_URL}"
    if is_iam and config.auth_key_file is None and config.log_format == "json":
        yield (
            f"{sources['auth']}: 'aws-iam' with a JSON log needs --auth-key-file, because a JSON log does not show a "
            "generated key pair"
        )
    if config.auth != AWS_IAM and config.auth_key_file is not None:
        yield f"{sources['auth_key_file']}: has no effect without --auth aws-iam"
    for option, able in (("cors", CORS_DOORS), ("authorizer_context", _AUTHORIZER_DOORS)):
        has_effect = config.values[option] is None or bool(set(able) & set(doors))
        if not has_effect and sources[option] != TEMPLATE:
            yield f"{sources[option]}: has no effect, since none of the front doors is {' or '.join(able)}"
