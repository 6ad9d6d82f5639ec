#!/bin/sh
# Builds the image of deploy/container/Containerfile without a registry: its last stage, with the Node.js and
# the C libraries of this machine in place of the ones of the base image. For machines without a network, and
# for tests. Needs buildah; the checkout must be built.
#
#   deploy/container/from-host.sh <image> [option of buildah build…]
set -eu
image=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
node "$here/stage.mjs" "$stage"
sed -n -e 's#--from=build ##' -e 's# /stage/# #' -e '/^FROM scratch/,$p' "$here/Containerfile" >"$stage/Containerfile"
buildah ${BUILDAH_OPTIONS:-} build --isolation chroot --format docker --layers=false \
  --tag "$image" --file "$stage/Containerfile" "$@" "$stage"
