"""What is shown of a reader that was fuzzed."""

from collections import Counter
from pathlib import Path

from tests.support.fuzz.run import Tally
from tests.support.fuzz.target import Target

ROOT = Path(__file__).resolve().parents[3]


def report(target: Target, tally: Tally) -> str:
    """One line, and below it the findings by their last line, each with one input and its traceback."""
    head = (
        f"{target.name:12} {tally.read:6} read, {tally.refused:6} refused, {len(tally.findings):4} findings; "
        f"slowest {tally.slowest_s:.2f} s, peak {tally.peak_bytes / 1e6:.0f} MB"
    )
    kinds = Counter(_kind(finding) for finding in tally.findings.values())
    lines = [head]
    for kind, count in kinds.most_common():
        number, example = next(item for item in tally.findings.items() if _kind(item[1]) == kind)
        lines += [f"  {count} × {kind} (--only {target.name}:{number})", *example.splitlines()[-7:]]
    return "\n".join(lines)


def _kind(finding: str) -> str:
    """The place and the type of an exception, or the finding itself."""
    places = [line.strip() for line in finding.splitlines() if line.lstrip().startswith("File ")]
    ours = [place for place in places if str(ROOT) in place and "/tests/" not in place and ".venv" not in place]
    words = (finding.strip().splitlines() or [""])[-1].split(":")[0]
    return f"{words} at {(ours or places)[-1].replace(str(ROOT), '')}" if places else finding
