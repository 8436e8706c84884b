"""The key pair for signing requests (``--auth aws-iam``): generated at each start, or read from a file.

Key pairs in the user's environment variables or home folder are never used, because they belong to a real account. The
secret is never written to a log, a recording or an environment variable of the function. The banner shows the secret,
but only if the key pair was generated.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.aws.identity import ACCOUNT_ID
from adapter.emulator.access.json_option import read_json_object
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from adapter.payload.messages import Arrival

# AWS's key ids have 20 characters and begin with AKIA (IAM, "Unique identifiers"). "LOCAL" is our own addition.
_ID_PREFIX, _ID_LENGTH = "AKIALOCAL", 20
_SECRET_LENGTH = 40
# The made-up ARN and id of the user to whom the key pair belongs.
_USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/local"
_USER_ID = "AIDALOCALUSEREXAMPLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An AWS key pair. ``repr`` does not show the secret.

    ``file`` is the file from which the pair was read; it is empty if the pair was generated.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    file: str = ""


def make_key_pair() -> KeyPair:
    """Return a new random key pair."""
    import secrets  # it loads OpenSSL, which only --auth aws-iam needs

    alphabet = string.ascii_uppercase + "234567"
    end = "".join(secrets.choice(alphabet) for _ in range(_ID_LENGTH - len(_ID_PREFIX)))
    secret = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_SECRET_LENGTH))
    return KeyPair(access_key_id=_ID_PREFIX + end, secret_access_key=secret)


def read_key_pair(file: str, source: str) -> KeyPair:
    """Return the key pair in ``file``, which must have the output format of ``credential_process`` (AWS CLI).

    ``source`` is the name of the option, for messages. Raises ConfigurationError if the file cannot be used. The
    message never quotes the content of the file.
    """
    content = read_json_object(file, source, shows_text=False)
    texts = {name: content.get(name) for name in ("AccessKeyId", "SecretAccessKey")}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise ConfigurationError([f"{source}: {file!r} must contain AccessKeyId and SecretAccessKey as strings"])
    if content.get("SessionToken"):
        raise ConfigurationError(
            [
                f"{source}: {file!r} has a SessionToken, so its key pair seems to belong to a real account; make a "
                "key pair that only the emulator uses"
            ]
        )
    return KeyPair(
        access_key_id=str(texts["AccessKeyId"]),
        secret_access_key=str(texts["SecretAccessKey"]),
        file=file,
    )


def add_iam(event: dict[str, Any], key: KeyPair, arrival: Arrival) -> None:
    """Add the caller's identity to the event of a function URL, as AWS does after verifying a signature.

    Also remove the Authorization header from the event. The added fields are those of an event that was captured on AWS
    in 2024.
    """
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
    # In captures of AWS, the events do not contain the Authorization header. They contain the x-amz headers.
    event["headers"].pop("authorization", None)
