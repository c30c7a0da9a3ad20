#!/usr/bin/env bash
# Makes this machine a node of the cluster that `ray-head.sh` started: ./ray-node.sh HEAD_ADDRESS
set -euo pipefail

SHARED=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$SHARED/ray.token}
export RAY_kill_child_processes_on_worker_exit=false RAY_memory_monitor_refresh_ms=0
export FRCNN_CACHE=${FRCNN_CACHE:-/tmp/frcnn-cache}
# export FRCNN_DATA_ROOT=/scratch/bccd

source "$SHARED/.venv/bin/activate"
ray start --address="$1:${RAY_PORT:-6379}" --disable-usage-stats
