#!/bin/sh
# Starts an image the way ECS does, as its own account on a root that cannot be written, and waits for its health
# check: try_image.sh IMAGE pipeline|api|mlflow
set -eu
image=$1
part=$2

user=$(docker image inspect --format '{{.Config.User}}' "$image")
[ "$user" = 10001:10001 ] || { echo "expected account 10001:10001, got $user" >&2; exit 1; }

confined() {
  docker run --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp:mode=1777 "$@"
}

case $part in
  pipeline)
    confined --rm "$image" sh -c "demand --help && dagster --version && dagster-webserver --version"
    set -- --env DEMAND_DEPLOYMENT=local
    ;;
  api)
    confined --rm "$image" python -c "
import importlib.util as u, sys
sys.exit([name for name in ('dagster', 'mlflow', 'xgboost', 'pandas') if u.find_spec(name)])"
    set -- --env DEMAND_STORE_URL=sqlite:////tmp/store.db
    ;;
  mlflow) set -- --env MLFLOW_BACKEND_STORE_URI=sqlite:////tmp/mlflow.db ;;
  *) echo "expected pipeline, api or mlflow, got $part" >&2; exit 2 ;;
esac

container=$(confined --detach --health-interval 3s "$@" "$image")
trap 'docker logs --tail 40 "$container"; docker rm --force "$container" >/dev/null' EXIT
for _ in $(seq 60); do
  health=$(docker container inspect --format '{{.State.Health.Status}}' "$container")
  [ "$health" != healthy ] || { echo "$part is healthy"; exit 0; }
  sleep 2
done
echo "$part is $health after two minutes" >&2
exit 1
