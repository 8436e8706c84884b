"""All payload formats, and which one an event has.

Events do not name their format. Each codec knows the outline of its own events, the outlines exclude each other, and
what has none of them is passed through, so that exactly one format matches whatever arrives.
"""

from __future__ import annotations

from adapter.payload.formats.alb import AlbMultiValue, AlbSingleValue
from adapter.payload.formats.http_api import HttpApi
from adapter.payload.formats.lattice import LatticeV1, LatticeV2
from adapter.payload.formats.pass_through import PassThrough
from adapter.payload.formats.rest_api import RestApi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.formats.codec import Codec

HTTP_FORMATS: tuple[Codec, ...] = (
    HttpApi(),
    RestApi(),
    AlbSingleValue(),
    AlbMultiValue(),
    LatticeV1(),
    LatticeV2(),
)
PASS_THROUGH = PassThrough(HTTP_FORMATS)

#: Every format by its name.
FORMATS: dict[str, Codec] = {codec.name: codec for codec in (*HTTP_FORMATS, PASS_THROUGH)}


def detect(event: Any) -> Codec:
    """The one format of ``event``, any decoded JSON."""
    for codec in HTTP_FORMATS:
        if codec.matches(event):
            return codec
    return PASS_THROUGH
