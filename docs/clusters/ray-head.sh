#!/usr/bin/env bash
# The first machine of a Ray cluster; `ray-node.sh` makes another join. Both in the study's folder, which all machines see.
# A token keeps others out; keep the cluster in a private network all the same, for Ray does not encrypt.
set -euo pipefail

SHARED=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$SHARED/ray.token}
export RAY_kill_child_processes_on_worker_exit=false  # workers whose launch died stop by themselves, with a checkpoint
export RAY_memory_monitor_refresh_ms=0                # a trial that takes too much memory is the worker's to end, not Ray's
export FRCNN_CACHE=${FRCNN_CACHE:-/tmp/frcnn-cache}   # decoded images: a disk of the machine
# export FRCNN_DATA_ROOT=/scratch/bccd                # where this machine has the data, if it has its own copy

if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
    (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
fi

source "$SHARED/.venv/bin/activate"
ray start --head --port="${RAY_PORT:-6379}" --include-dashboard=false --disable-usage-stats
