"""The FastAPI example as a Lambda function in one process: Mangum's handler, for ``python -m awslambdaric``."""

from __future__ import annotations

from main import app  # type: ignore[import-not-found]  # the example, by PYTHONPATH
from mangum import Mangum

handler = Mangum(app, lifespan="off")
