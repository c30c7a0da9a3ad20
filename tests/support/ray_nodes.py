"""A Ray cluster of several nodes on this machine, in a process of its own, for tests.

    python -m tests.support.ray_nodes FOLDER

Each line of its input, `{"num_cpus": 1}`, adds a node; the answer is a line with the address and the pid of the
node's raylet. The cluster ends with the input, and keeps its logs in the folder. All nodes have our environment.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

from ray.cluster_utils import Cluster

#: So that the loss of a node is noticed within a second or two, not within half a minute.
QUICK = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 300, "health_check_failure_threshold": 3}


def main(folder: str) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    Path(tempfile.gettempdir(), "ray").mkdir(exist_ok=True)  # where Ray notes each cluster; it makes no such folder
    cluster = Cluster()
    for line in sys.stdin:
        wanted = json.loads(line)
        if cluster.head_node is None:
            wanted |= {"include_dashboard": False, "temp_dir": folder, "_system_config": QUICK}
        node = cluster.add_node(**wanted)
        raylet = node.all_processes["raylet"][0].process.pid
        sys.stdout.write(json.dumps({"address": cluster.address, "raylet": raylet}) + "\n")
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
