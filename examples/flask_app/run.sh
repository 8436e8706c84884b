#!/bin/sh
# The start script of a zip package, with the adapter in a layer: the function's handler is `run.sh`.
cd "$(dirname "$0")" || exit
exec python3 -m gunicorn main:app --bind "127.0.0.1:$PORT" --threads "${AWS_LAMBDA_MAX_CONCURRENCY:-8}" --no-control-socket
