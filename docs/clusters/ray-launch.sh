#!/usr/bin/env bash
# Runs the study on the cluster, from one of its machines: 8 workers, two on each GPU. Ctrl-c stops it, this goes on.
# study.yaml says `storage: file:storage.url`; that file has mode 600 and lies beside it, for all machines.
set -euo pipefail

SHARED=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$SHARED/ray.token}

source "$SHARED/.venv/bin/activate"
exec frcnn-search launch "$SHARED/study.yaml" --engine ray --ray-address "$1:${RAY_PORT:-6379}" \
    --workers "${WORKERS:-8}" --gpus-per-worker 0.5 --cpus-per-worker 2
