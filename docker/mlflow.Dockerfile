# MLflow's tracking server and registry: runs and versions in PostgreSQL, artefacts in S3 through the server.
# None of this project's code is in it. Built from the root of the repository; see docker/README.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
# The index digest of that tag on the day it was last renewed; the tag itself decides nothing.
ARG PYTHON_DIGEST=sha256:34386ef0cb081344d7ec1c103ba398e6e9f64e9ab3a1509accc92a4e24a07258

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST} AS build
ENV UV_CACHE_DIR=/cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements-uv.lock docker/requirements-mlflow.lock ./
# Folders `tests` are of the libraries' own tests; nothing that runs imports them.
RUN --mount=type=cache,target=/cache \
    python -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --cache-dir /cache/pip --no-deps --require-hashes -r requirements-uv.lock \
    && python -m venv --without-pip /opt/venv \
    && /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-deps --require-hashes --compile-bytecode \
        -r requirements-mlflow.lock \
    && find /opt/venv/lib -type d -name tests -prune -exec rm -r {} +

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="demand mlflow" \
      org.opencontainers.image.description="MLflow tracking server and model registry of the demand forecaster" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 demand \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin demand
COPY --from=build /opt/venv /opt/venv
# Trusted when the backend's URL says sslmode=verify-full; see docker/certs/README.md.
COPY docker/certs /opt/certs
# The root is read-only: everything that writes does so in /tmp. MLflow's jobs, which nobody asks for, would be eight
# processes more.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=random \
    HOME=/tmp \
    TMPDIR=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    PGSSLROOTCERT=/opt/certs/rds-global-bundle.pem \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    GIT_PYTHON_REFRESH=quiet
# On Fargate an empty volume mounted here takes this folder's owner and mode, so that the account below may write.
VOLUME ["/tmp"]
WORKDIR /tmp
USER 10001:10001
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 5000, timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--serve-artifacts"]
