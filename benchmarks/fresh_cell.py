"""One trial of `fresh_process`, in a process of its own: its settings as JSON in the only argument."""

import json
import sys
from pathlib import Path

from benchmarks.session import Session, random_configurations, sample_plan


def main(folder: str, canvas: str, images: int, validation_images: int, number: int) -> None:
    """Train that one of the random configurations and leave."""
    plan = sample_plan(Path(folder), canvas=canvas, images=images, validation_images=validation_images)
    Session(plan).run(random_configurations(plan.space, number + 1)[number], (images,))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
