#!/bin/sh
# Databases and roles of the local stack, made once, when its volume is empty. On AWS the same three databases are on
# one RDS instance; docs/deploy.md has the statements.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set pipeline="$PIPELINE_PASSWORD" --set api="$API_PASSWORD" \
  --set dagster="$DAGSTER_PASSWORD" --set mlflow="$MLFLOW_PASSWORD" <<'SQL'
CREATE ROLE demand_pipeline LOGIN PASSWORD :'pipeline';
CREATE ROLE demand_api LOGIN PASSWORD :'api';
CREATE ROLE dagster LOGIN PASSWORD :'dagster';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE DATABASE demand OWNER demand_pipeline;
CREATE DATABASE dagster OWNER dagster;
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT ON DATABASE demand, dagster, mlflow FROM PUBLIC;
GRANT CONNECT ON DATABASE demand TO demand_api;
SQL
