"""Where things are."""

from __future__ import annotations

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
# Whatever is built or installed for a comparison; nothing outside of it is written but the results.
CACHE = REPOSITORY / ".cache" / "bench"
PEERS = BENCH / "peers"
FASTAPI_EXAMPLE = REPOSITORY / "examples" / "fastapi_app"
# The interpreter behind the virtual environment: what a bundle gets a copy of.
BASE_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
