"""Hostile files and messages, made of valid ones, against every reader that a stranger's bytes can reach.

    python -m tests.support.fuzz [--inputs 100000] [--seed 0] [--only NAME[:NUMBER]]

Each reader (tests/support/fuzz/targets.py) gets its share of the inputs, in a process of its own. It must return, or
refuse with the error that becomes a message and exit code 2. A finding is any other exception, the death of the
process, 10 s on one input, or 2 GB of memory. The same seed makes the same inputs; `--only coco:17` reads one again.
"""

import argparse
import sys
import time

from search.terminal import visible
from tests.support.fuzz.report import report
from tests.support.fuzz.run import fuzz
from tests.support.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz every reader with its share; returns 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME[:NUMBER]")
    options = parser.parse_args()
    name, _, number = options.only.partition(":")
    targets = [target for target in TARGETS if name in ("", target.name)]
    each = options.inputs / sum(target.share for target in targets)
    began_s = time.monotonic()
    tallies = []
    for target in targets:
        numbers = range(int(number), int(number) + 1) if number else range(round(each * target.share))
        tallies.append(fuzz(target, options.seed, numbers))
        sys.stdout.write(visible(report(target, tallies[-1])) + "\n")
        sys.stdout.flush()
    found = sum(len(tally.findings) for tally in tallies)
    total = sum(tally.read + tally.refused + len(tally.findings) for tally in tallies)
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{total} inputs (seed {options.seed}) in {took_s:.0f} s: {found} findings.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
