"""The paths of the comparison's files."""

from __future__ import annotations

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
# The folder of everything that is built or installed for a comparison. Only the results are written elsewhere.
CACHE = REPOSITORY / ".cache" / "bench"
PEERS = BENCH / "peers"
FASTAPI_EXAMPLE = REPOSITORY / "examples" / "fastapi_app"
# The interpreter of the virtual environment. A bundle contains a copy of it.
BASE_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
