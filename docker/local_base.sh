#!/usr/bin/env bash
# A base image out of Debian's packages, where no registry of images can be reached: local_base.sh NAME [MIRROR]
# Without MIRROR debootstrap takes its own. Says what docker/build_images.sh takes. Its Python is Debian's, so it is for
# trying images and not for shipping them. Needs root, debootstrap and Podman. The certificates and pip settings of this
# machine go along, for its proxies.
set -euo pipefail
name=$1
ENGINE=${ENGINE:-podman}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$folder" ${2:+"$2"} >&2
ln -s python3 "$folder/usr/bin/python"
rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
authorities=/etc/ssl/certs/ca-certificates.crt
cp "$authorities" "$folder$authorities"
tar --directory "$folder" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --create . \
  | "$ENGINE" import --change "ENV PIP_CERT=$authorities" --change "ENV SSL_CERT_FILE=$authorities" - "$name" >&2
echo "PYTHON_IMAGE=${name%:*} PYTHON_DIGEST=$("$ENGINE" image inspect --format '{{.Digest}}' "$name")"
