"""Texts of the kinds that real bodies have, and the styles in which events are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The passage that each text repeats. The fake app repeats it as often as requested.
PASSAGES: Mapping[str, str] = {
    "ascii": '{"id": 1234567, "name": "plain text, as most of it is", "ok": 1}\n',
    "json": '{"id": 1234567, "path": "C:\\\\a", "name": "Zoë Müller", "tags": ["größer", "neu"], "ok": true}\n',
    "prose": '"Where is the café?" she asked.\nHe didn\'t know — nobody did — and went on reading: the day was long,\n'
    "the rain had not stopped since the morning, and nothing else was left to do. A new page began.\n",
    "scripts": "Съешь же ещё этих мягких «французских» булок.\n我能吞下玻璃而不伤身体。\n"
    "色は匂へど散りぬるを\nصِف خَلقَ خَودٍ\n",
    "emoji": "All green 🎉, ship it 🚀! 👩‍💻 has merged the branch.\nNothing else to report today, see you 👋\n",
}


def written(event: Mapping[str, Any], style: str) -> bytes:
    """Return ``event`` as JSON: ``compact``, as front doors write it, or ``spaced`` and in ASCII, as ``json.dumps``."""
    if style == "compact":
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps(event).encode()


def repeated(passage: bytes, least: int) -> bytes:
    """Return ``passage`` repeated as a whole, until the text has at least ``least`` bytes."""
    return passage * -(-least // len(passage))
