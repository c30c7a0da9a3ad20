"""Loads every exported file in its real framework: python -m tests.support.check_exports [--write docs/exports.md].

For the configurations of tests/support/export_cases.py and each framework: all anchors of the canvas and the
learning rates are computed by the framework from the file and compared with the detector's own; one training step is
done. Each must agree, or the export must have refused.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.config import ConfigError
from search.export.frameworks.exporting import FRAMEWORKS, recipe_of, write_frameworks
from search.export.frameworks.recipe import Recipe
from tests.support.check_exports.environments import ENVIRONMENTS, Environment, python_of, variables_of, why_not
from tests.support.export_cases import CASES, sample_datasets, write_expected

HERE = Path(__file__).parent
MOST_ANCHOR_ERROR_PX = 1e-3  # float32 of sides of hundreds of pixels
MOST_RATE_ERROR = 1e-6
START, END = "<!-- begin of the checks -->\n", "<!-- end of the checks -->\n"
HEADING = "| framework | version | configuration | anchors off by | rates off by | a step's loss | so |\n"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one configuration in one framework."""

    title: str
    case: str
    so: str  # agrees, refused, failed or not run
    found: dict[str, Any]

    @property
    def text(self) -> str:
        """The row of the table."""
        found = self.found
        size = found.get("anchor_size_error")
        anchors = f"{found['anchor_error_px']:.1g} px" if "anchor_error_px" in found else "–"
        anchors += f", sizes {size:.2%}" if size else ""
        rates = [found[name] for name in ("rate_error", "whole_warmup_rate_error") if name in found]
        shown = " and ".join(f"{each:.1g}" for each in rates) if rates else "–"
        loss = f"{found['loss']:.3f}" if "loss" in found else "–"
        return (
            f"| {self.title} | {found.get('version', '–')} | {self.case} | {anchors} | {shown} | {loss} | {self.so} |"
        )


def main() -> int:
    """0 where every configuration agrees or was refused, in every framework that could be had."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--environments", type=Path, default=Path("build/check-exports"), help="where they are kept")
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    parser.add_argument("--only", nargs="*", default=[each.format for each in ENVIRONMENTS], help="formats")
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="configurations; other rows of a page stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for environment in ENVIRONMENTS
            if environment.format in options.only
            for row in _rows(environment, options.cases, options.environments.absolute(), Path(folder))
        ]
    print(HEADING, *(f"{row.text}\n" for row in rows), sep="")
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(START)
        former, _, after = rest.partition(END)
        options.write.write_text(f"{before}{START}{_table(rows, former)}{END}{after}", encoding="utf-8")
    failed = sum(row.so.startswith("failed") for row in rows)
    passed = sum(row.so.startswith(("agrees", "refused")) for row in rows)
    print(f"{passed} passed, {failed} failed, {len(rows) - passed - failed} skipped")
    return 1 if failed else 0


def _table(rows: list[Row], former: str) -> str:
    """The whole table: these rows, and those of the former one that were not run again."""
    texts = {_key(line): line for line in former.splitlines()} | {_key(row.text): row.text for row in rows}
    keys = [(FRAMEWORKS[each.format].title, case) for each in ENVIRONMENTS for case in CASES]
    lines = [texts[key] for key in keys if key in texts]
    return HEADING + "| --- | --- | --- | --- | --- | --- | --- |\n" + "".join(f"{line}\n" for line in lines)


def _key(line: str) -> tuple[str, str]:
    """Framework and configuration of a row."""
    _, title, _, case, *_ = (cell.strip() for cell in line.split("|"))
    return title, case


def _rows(environment: Environment, cases: list[str], environments: Path, folder: Path) -> list[Row]:
    title = FRAMEWORKS[environment.format].title
    if why := why_not(environment):
        return [Row(title=title, case=case, so=f"not run: {why}", found={}) for case in cases]
    python = python_of(environment, environments)
    return [_row(environment, python, case, folder / case / environment.format) for case in cases]


def _row(environment: Environment, python: Path, name: str, folder: Path) -> Row:
    framework, configuration = FRAMEWORKS[environment.format], CASES[name]
    datasets = sample_datasets(folder / "data")
    try:
        write_frameworks(
            configuration, datasets, [environment.format], folder=folder / "exported", name=None, images=None
        )
    except ConfigError as error:
        return Row(title=framework.title, case=name, so=f"refused: {str(error).partition(', ')[0]}", found={})
    recipe = recipe_of(configuration, datasets, folder=folder, images=None)
    write_expected(recipe, folder / "exported")
    script = HERE / f"in_{environment.format.replace('-', '_')}.py"
    print(f"{framework.title}, {name} …", file=sys.stderr, flush=True)
    run = subprocess.run(
        [python, script, folder / "exported"], env=variables_of(environment), capture_output=True, text=True
    )
    if run.returncode:
        print(run.stderr[-3000:], file=sys.stderr)
        return Row(title=framework.title, case=name, so=f"failed: {run.stderr.strip().splitlines()[-1]}", found={})
    found = json.loads(run.stdout.strip().splitlines()[-1])
    return Row(title=framework.title, case=name, so=_judged(found, recipe), found=found)


def _judged(found: dict[str, Any], recipe: Recipe) -> str:
    """Whether all agrees: exactly, or as far as the head of the file says."""
    wrong = []
    if found["anchor_error_px"] > MOST_ANCHOR_ERROR_PX:
        wrong.append("anchors")
    if found.get("anchor_size_error", 0.0) > 0.1:
        wrong.append("anchor sizes")
    if found.get("rate_error", 0.0) > MOST_RATE_ERROR:
        wrong.append("rates")
    if found.get("whole_warmup_rate_error", 0.0) > MOST_RATE_ERROR + recipe.warmup_error:
        wrong.append("rates beyond the rounding of the warm-up")
    factor = recipe.hyperparameters.rpn_lr_factor
    if not math.isclose(found.get("rpn_factor", factor), factor, rel_tol=MOST_RATE_ERROR):
        wrong.append("the RPN's rate")
    branches = sum(recipe.resnet.blocks)
    scales = found.get("branch_scales", [branches**-0.5] * branches)
    if len(scales) != branches or not all(math.isclose(scale, branches**-0.5, rel_tol=1e-5) for scale in scales):
        wrong.append("the scale of residual branches")
    if not math.isfinite(found["loss"]):
        wrong.append("loss")
    return f"failed: {', '.join(wrong)}" if wrong else "agrees"


if __name__ == "__main__":
    sys.exit(main())
