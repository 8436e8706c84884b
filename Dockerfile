# The adapter in /opt/adapter, with the FastAPI example behind it:
#
#     docker build -t web-adapter . && docker run -p 8000:8000 web-adapter
#
# Your own image copies /opt/adapter from this image, as in examples/*/Dockerfile. /opt/adapter contains its own
# interpreter and C library, so your image may have any version of Python, or none.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# Extras in pyproject.toml; "[br,metrics,zstd]" are all extras that `adapter run` uses.
ARG EXTRAS=[metrics]
# Any version of the compiler works.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /source
RUN EXTRAS="${EXTRAS}" /source/deploy/build-bundle /opt/adapter

FROM ${BASE}
COPY --from=build /opt/adapter /opt/adapter
WORKDIR /app
COPY constraints.txt examples/fastapi_app/ ./
RUN pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt

# For containers; on Lambda these have no effect. The proxy listens on all addresses, and the admin listener only on the
# loopback. Streams have Lambda's cap; ADAPTER_BANDWIDTH=unlimited removes it.
ENV ADAPTER_LISTEN=0.0.0.0:8000 \
    ADAPTER_ADMIN=127.0.0.1:8001 \
    ADAPTER_BANDWIDTH=lambda
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/opt/adapter/bin/adapter", "health"]

# Allow snapshots. The app's hooks must renew everything that must differ between two copies (docs/lambda.md).
LABEL com.amazonaws.lambda.feature.snapstart="Allow"

# A number, so that Kubernetes can check that the user is not root.
USER 10001:10001
ENTRYPOINT ["/opt/adapter/bin/adapter", "run", "--"]
CMD ["uvicorn", "main:app", "--port", "{port}"]
