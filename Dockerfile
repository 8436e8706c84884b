# The adapter in /opt/adapter, with the FastAPI example behind it:
#
#     docker build -t web-adapter . && docker run -p 8000:8000 web-adapter
#
# An image of your own copies /opt/adapter out of this one; examples/*/Dockerfile show how. /opt/adapter has an
# interpreter and a C library of its own, so your image may have any other version of Python, or none.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# Optional dependencies of pyproject.toml; "[br,metrics,zstd]" has all that serve at run time.
ARG EXTRAS=[metrics]
# Whatever compiler the base image's release has will do.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /source
RUN EXTRAS="${EXTRAS}" /source/deploy/build-bundle /opt/adapter

FROM ${BASE}
COPY --from=build /opt/adapter /opt/adapter
WORKDIR /app
COPY constraints.txt examples/fastapi_app/ ./
RUN pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt

# Outside Lambda: plain HTTP on every address, whether the app is ready on the loopback alone, and Lambda's cap on
# streams; ADAPTER_BANDWIDTH=unlimited lifts it. On Lambda these have no effect.
ENV ADAPTER_LISTEN=0.0.0.0:8000 \
    ADAPTER_ADMIN=127.0.0.1:8001 \
    ADAPTER_BANDWIDTH=lambda
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/opt/adapter/bin/adapter", "health"]

# Lambda may take snapshots: the app's hooks renew what must not be the same in two copies (docs/lambda.md).
LABEL com.amazonaws.lambda.feature.snapstart="Allow"

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENTRYPOINT ["/opt/adapter/bin/adapter", "run", "--"]
CMD ["uvicorn", "main:app", "--port", "{port}"]
