# The pipeline: Dagster's webserver, daemon, code server and runs, and the one-off tasks migrate and watch.
# One image; the command says which. Built from the root of the repository; see docker/README.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
# The index digest of that tag on the day it was last renewed; the tag itself decides nothing.
ARG PYTHON_DIGEST=sha256:34386ef0cb081344d7ec1c103ba398e6e9f64e9ab3a1509accc92a4e24a07258

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST} AS build
ENV UV_CACHE_DIR=/cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements-uv.lock docker/requirements-build.lock docker/requirements-pipeline.lock ./
# Folders `tests` are of the libraries' own tests; nothing that runs imports them.
RUN --mount=type=cache,target=/cache \
    python -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --cache-dir /cache/pip --no-deps --require-hashes -r requirements-uv.lock \
    && /opt/build/bin/uv pip install --python /opt/build/bin/python --no-deps --require-hashes \
        -r requirements-build.lock \
    && python -m venv --without-pip /opt/venv \
    && /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-deps --require-hashes --compile-bytecode \
        -r requirements-pipeline.lock \
    && find /opt/venv/lib -type d -name tests -prune -exec rm -r {} +
# After the dependencies, which change less often.
COPY pyproject.toml README.md LICENSE dagster.yaml ./
COPY demand_assets demand_assets
COPY api api
COPY demand_client demand_client
RUN /opt/build/bin/python -m hatchling build -t wheel -d /wheels \
    && /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-deps --no-cache --compile-bytecode /wheels/*.whl

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="demand pipeline" \
      org.opencontainers.image.description="Dagster webserver, daemon, code server and runs of the demand forecaster" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 demand \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin demand
COPY --from=build /opt/venv /opt/venv
COPY docker/dagster.aws.yaml /opt/dagster/dagster.yaml
COPY docker/workspace.aws.yaml /opt/dagster/workspace.yaml
COPY docker/healthcheck.py /opt/dagster/healthcheck.py
# Trusted when a database URL says sslmode=verify-full; see docker/certs/README.md.
COPY docker/certs /opt/certs
# The root is read-only: everything that writes does so in /tmp. A fixed hash seed: a run is repeatable to the byte.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0 \
    HOME=/tmp \
    TMPDIR=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    DAGSTER_HOME=/opt/dagster \
    DEMAND_HOME=/tmp/demand \
    PGSSLROOTCERT=/opt/certs/rds-global-bundle.pem \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
    GIT_PYTHON_REFRESH=quiet
# On Fargate an empty volume mounted here takes this folder's owner and mode, so that the account below may write.
VOLUME ["/tmp"]
WORKDIR /tmp
USER 10001:10001
EXPOSE 3000 4000
# Dagster ends in order on it: runs are reported as failed or canceled, child processes are stopped.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=30s --start-period=90s --retries=3 CMD ["python", "/opt/dagster/healthcheck.py"]
CMD ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "demand_assets.definitions"]
