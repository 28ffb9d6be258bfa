#!/usr/bin/env bash
# Builds images and tries each as ECS starts it: build_images.sh [pipeline|api|mlflow ...], all three without one.
# ENGINE: docker or podman, by default whichever works. PYTHON_IMAGE and PYTHON_DIGEST: another base, such as that of
# docker/local_base.sh where no registry of images can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
ENGINE=${ENGINE:-$(docker info >/dev/null 2>&1 && echo docker || echo podman)}
command -v "$ENGINE" >/dev/null || { echo "build_images: neither Docker nor Podman works here" >&2; exit 1; }
# Podman's own format has no HEALTHCHECK.
export ENGINE BUILDAH_FORMAT=docker

arguments=(--build-arg "REVISION=$(git rev-parse HEAD)")
for name in PYTHON_IMAGE PYTHON_DIGEST; do
  [ -z "${!name:-}" ] || arguments+=(--build-arg "$name=${!name}")
done
[ $# -gt 0 ] || set -- pipeline api mlflow
for part in "$@"; do
  "$ENGINE" build --quiet "${arguments[@]}" --file "docker/$part.Dockerfile" --tag "demand/$part:local" . >/dev/null
  docker/try_image.sh "demand/$part:local" "$part"
  bytes=$("$ENGINE" image inspect --format '{{.Size}}' "demand/$part:local")
  echo "$part: $((bytes / 1000000)) MB"
done
