#!/usr/bin/env bash
# Copies the image of a commit into a stage's registry, byte for byte, if images.yml has signed it:
#   promote.sh pipeline|api|mlflow COMMIT REGISTRY/NAME:TAG
# Says NAME=REGISTRY/NAME@DIGEST, as docker/deploy.py takes it. Needs docker with buildx, cosign and both log-ins.
set -euo pipefail
part=$1
commit=$2
target=$3
source="ghcr.io/${GITHUB_REPOSITORY,,}/$part"

digest_of() {
  docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'
}

digest=$(digest_of "$source:$commit") || {
  echo "promote: there is no image $source:$commit; images.yml makes one for each commit of main" >&2
  exit 1
}
cosign verify "$source@$digest" --output text \
  --certificate-identity "https://github.com/$GITHUB_REPOSITORY/.github/workflows/images.yml@refs/heads/main" \
  --certificate-oidc-issuer https://token.actions.githubusercontent.com >&2
docker buildx imagetools create --tag "$target" "$source@$digest" >&2
copied=$(digest_of "$target")
[ "$copied" = "$digest" ] || { echo "promote: expected $digest at $target, got $copied" >&2; exit 1; }
echo "$part=${target%:*}@$digest"
