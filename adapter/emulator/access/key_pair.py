"""The key pair of ``--auth aws-iam``: made anew at each start, or read from a file.

Nothing else is a source: neither the variables nor the home folder of the user, whose keys belong to a real account.
The secret is in no log, recording or variable of the function; only the banner shows one that was made here.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.aws.identity import ACCOUNT_ID
from adapter.emulator.access.json_option import read_json_object
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from adapter.payload.messages import Arrival

# The form of AWS's key ids: 20 characters that begin with AKIA (IAM, "Unique identifiers"). "LOCAL" is our own.
_ID_PREFIX, _ID_LENGTH = "AKIALOCAL", 20
_SECRET_LENGTH = 40
# The made-up ARN and id of the user that has the key.
_USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/local"
_USER_ID = "AIDALOCALUSEREXAMPLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A key pair of AWS. ``repr`` shows no secret. ``file`` is where it was read from; empty if it was made here."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    file: str = ""


def make_key_pair() -> KeyPair:
    """Return a new random key pair."""
    alphabet = string.ascii_uppercase + "234567"
    end = "".join(secrets.choice(alphabet) for _ in range(_ID_LENGTH - len(_ID_PREFIX)))
    secret = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_SECRET_LENGTH))
    return KeyPair(access_key_id=_ID_PREFIX + end, secret_access_key=secret)


def read_key_pair(file: str, source: str) -> KeyPair:
    """Return the key pair in ``file``, which has the format of ``credential_process`` (AWS CLI). ``source`` names it.

    Raises ConfigurationError if the file cannot be used. Its message has no content of the file.
    """
    content = read_json_object(file, source, shows_text=False)
    texts = {name: content.get(name) for name in ("AccessKeyId", "SecretAccessKey")}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise ConfigurationError([f"{source}: {file!r} needs the texts AccessKeyId and SecretAccessKey"])
    if content.get("SessionToken"):
        raise ConfigurationError([f"{source}: {file!r} has a SessionToken; make a key pair for this purpose alone"])
    return KeyPair(
        access_key_id=str(texts["AccessKeyId"]),
        secret_access_key=str(texts["SecretAccessKey"]),
        file=file,
    )


def add_iam(event: dict[str, Any], key: KeyPair, arrival: Arrival) -> None:
    """Write the caller into the event of a function URL, as AWS does for a verified signature (capture, 2024)."""
    context = event["requestContext"]
    context["accountId"] = arrival.account_id
    context["authorizer"] = {
        "iam": {
            "accessKey": key.access_key_id,
            "accountId": arrival.account_id,
            "callerId": _USER_ID,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": _USER_ARN,
            "userId": _USER_ID,
        }
    }
    # AWS consumes the header: it is not in the events of its captures; the x-amz headers are.
    event["headers"].pop("authorization", None)
