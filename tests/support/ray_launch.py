"""`launch` with Ray and a lease of a few seconds, as a process of its own, for tests.

python -m tests.support.ray_launch SPECIFICATION STORAGE FOLDER ENGINE
"""

import json
import sys
from pathlib import Path

from detector.config import ConfigError
from search.engines.ray_executor import RayExecutor
from search.launch.launching import launch
from search.study.specification import specification_from_json

if __name__ == "__main__":
    document, storage, folder, engine = sys.argv[1:]
    try:
        code = launch(
            specification_from_json(json.loads(document), storage=storage),
            folder=Path(folder),
            options=("--lease-s", "6"),
            executor=RayExecutor(**json.loads(engine)),
        )
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        code = 2
    sys.exit(code)
