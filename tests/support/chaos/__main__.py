"""Random faults on running studies, and a check of every process's own notes afterwards.

    python -m tests.support.chaos [--faults 200] [--seed 0]

Studies of analytic trials, on SQLite and PostgreSQL in turn, their workers started one by one or by `launch`; some ten
faults each, drawn by the seed (tests/support/chaos/faults.py). A fault counts only if it is seen to have happened. The
trainer is the analytic one: this says nothing of detectors.
"""

import argparse
import sys
import time
from collections import Counter

from tests.support.chaos.study import TRIALS, strike
from tests.support.history_checker import Tally


def main() -> int:
    """Strike until so many faults have happened; returns 0 if every study survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began_s = time.monotonic()
    survivals = strike(options.faults, options.seed)
    struck = sum((one.struck for one in survivals), Counter[str]())
    tally = sum((one.tally for one in survivals), Tally(stored=0, noted=0, tried=0))
    last = options.seed + len(survivals) - 1
    sys.stdout.write(
        f"{struck.total()} faults in {len(survivals)} studies of {TRIALS} trials (seeds {options.seed} to {last}, "
        f"{time.monotonic() - began_s:.0f} s): 0 lost, 0 doubled, 0 stuck.\n{dict(struck.most_common())}\n"
        f"{tally.stored} reports and ends stored = {tally.noted} noted by their workers + {tally.tried} that a worker "
        f"tried and was killed before it could note them; {sum(one.dropped for one in survivals)} trials dropped by "
        f"workers that had lost them, {sum(one.outages for one in survivals)} outages noticed.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
