#!/usr/bin/env bash
# Starts an image the way ECS does, as its own account, without capabilities, on a root that cannot be written; asks it
# for what it is there for, waits for its health check, and ends it by SIGTERM: try_image.sh IMAGE pipeline|api|mlflow
# ENGINE: docker (default) or podman.
set -euo pipefail
image=$1
part=$2
engine=${ENGINE:-docker}

fail() {
  echo "$part: $*" >&2
  exit 1
}

user=$("$engine" image inspect --format '{{.Config.User}}' "$image")
[ "$user" = 10001:10001 ] || fail "expected account 10001:10001, got $user"

confined() {
  "$engine" run --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp:mode=1777 "$@"
}

# Each is what a container of the image is asked, once it is healthy.
case $part in
  pipeline)
    # A run from files to a forecast, and the parts that are started by another command.
    confined --rm "$image" sh -ec '
      ! touch /opt/written 2>/dev/null
      grep -q "^CapEff:.0*$" /proc/self/status
      dagster --version && dagster-webserver --version
      demand sample --plain --stores 2 --departments 3 --weeks 80 /tmp/zone
      # The instance of the image is that of AWS.
      DEMAND_BACKTEST_ORIGINS=2 env -u DAGSTER_HOME demand run --raw-dir /tmp/zone'
    options=(--env DEMAND_DEPLOYMENT=local)
    question='import demand_assets.definitions'
    ;;
  api)
    options=(--env DEMAND_STORE_URL=sqlite:////tmp/store.db --env DEMAND_API_ALLOWED_HOSTS=localhost)
    question='
import importlib.util, sys, time, urllib.error, urllib.request
from demand_assets.store.migrations import migrate

def status(path):
    asked = urllib.request.Request(f"http://127.0.0.1:8000{path}", headers={"Host": "localhost"})
    try:
        return urllib.request.urlopen(asked).status
    except urllib.error.HTTPError as error:
        return error.code

carried = [name for name in ("dagster", "mlflow", "xgboost", "pandas") if importlib.util.find_spec(name)]
assert not carried, carried
assert status("/") == 200
migrate("sqlite:////tmp/store.db")
# It looks for its store once a second; then it asks for a key.
for _ in range(100):
    if (seen := status("/v1/forecasts")) != 503:
        break
    time.sleep(0.5)
assert seen == 401, seen'
    ;;
  mlflow)
    options=(--env MLFLOW_BACKEND_STORE_URI=sqlite:////tmp/mlflow.db --env MLFLOW_ARTIFACTS_DESTINATION=/tmp/artifacts)
    question='
import mlflow
mlflow.set_tracking_uri("http://127.0.0.1:5000")
mlflow.set_experiment("tried")
with mlflow.start_run() as run:
    mlflow.log_metric("wmae", 1.5)
    mlflow.log_text("kept", "note.txt")
assert mlflow.get_run(run.info.run_id).data.metrics == {"wmae": 1.5}
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "kept"'
    ;;
  *)
    echo "expected pipeline, api or mlflow, got $part" >&2
    exit 2
    ;;
esac

container=$(confined --detach "${options[@]}" "$image")
tell_and_remove() {
  [ $? -eq 0 ] || "$engine" logs --tail 40 "$container" >&2
  "$engine" rm --force "$container" >/dev/null
}
trap tell_and_remove EXIT
state() {
  "$engine" container inspect --format "{{.State.$1}}" "$container"
}

# The image's own health check, asked until it says yes or the container has ended.
mapfile -t health < <("$engine" image inspect --format '{{range .Config.Healthcheck.Test}}{{println .}}{{end}}' "$image")
[ "${health[0]}" = CMD ] || fail "expected a health check CMD, got ${health[0]}"
until "$engine" exec "$container" "${health[@]:1:${#health[@]}-2}" >/dev/null 2>&1; do
  [ "$(state Running)" = true ] || fail "it ended with $(state ExitCode) before it was healthy"
  sleep 2
done
echo "$part is healthy"
"$engine" exec "$container" python -c "$question" || fail "it does not do what it is there for"
"$engine" stop -t 60 "$container" >/dev/null
# 137 is SIGKILL: it did not listen.
case $(state ExitCode) in
  0 | 143) echo "$part ended in order ($(state ExitCode))" ;;
  *) fail "it ended with $(state ExitCode) on SIGTERM" ;;
esac
