# The service: reads the store, knows neither Dagster nor MLflow nor xgboost.
# Built from the root of the repository; see docker/README.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
# The index digest of that tag on the day it was last renewed; the tag itself decides nothing.
ARG PYTHON_DIGEST=sha256:34386ef0cb081344d7ec1c103ba398e6e9f64e9ab3a1509accc92a4e24a07258

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST} AS build
ENV UV_CACHE_DIR=/cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements-uv.lock docker/requirements-build.lock docker/requirements-api.lock ./
# Folders `tests` are of the libraries' own tests; nothing that runs imports them.
RUN --mount=type=cache,target=/cache \
    python -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --cache-dir /cache/pip --no-deps --require-hashes -r requirements-uv.lock \
    && /opt/build/bin/uv pip install --python /opt/build/bin/python --no-deps --require-hashes \
        -r requirements-build.lock \
    && python -m venv --without-pip /opt/venv \
    && /opt/build/bin/uv pip install --python /opt/venv/bin/python --no-deps --require-hashes --compile-bytecode \
        -r requirements-api.lock \
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
LABEL org.opencontainers.image.title="demand api" \
      org.opencontainers.image.description="HTTP API and dashboard of the demand forecaster" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 demand \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin demand
COPY --from=build /opt/venv /opt/venv
# Trusted when the store's URL says sslmode=verify-full; see docker/certs/README.md.
COPY docker/certs /opt/certs
# The root is read-only. No fixed hash seed here: requests are hashed, and a guessable hash can be attacked.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=random \
    HOME=/tmp \
    TMPDIR=/tmp \
    PGSSLROOTCERT=/opt/certs/rds-global-bundle.pem \
    DEMAND_API_HOST=0.0.0.0 \
    DEMAND_API_PORT=8000
# On Fargate an empty volume mounted here takes this folder's owner and mode, so that the account below may write.
VOLUME ["/tmp"]
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
# Requests that have begun are answered first, for up to 30 seconds.
STOPSIGNAL SIGTERM
# With the first of the names that the service answers to.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['DEMAND_API_PORT']), timeout=4); c.request('GET', '/health', headers={'Host': os.environ.get('DEMAND_API_ALLOWED_HOSTS', '').split(',')[0] or 'localhost'}); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "api"]
