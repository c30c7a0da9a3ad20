"""What is said of failing files and of what was given back for them: a row each, and the claim counted. No Keras."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from benchmarks.parts.finished import Training
from benchmarks.parts.mended_file import CANNOT_SHOW, Bench, GivenBack
from benchmarks.parts.table import Cell, Table
from search.imports.importing import Import

COLUMNS = (
    "file", "found first", "changed", "theirs", "loss", "AP", "AP50", "given back", "loss", "AP", "AP50",
    "cause is gone", "seeds",
)  # fmt: skip

LOOKS = 3  # of the watch, over which losses are averaged


@dataclass(slots=True)
class Case:
    """One file: as it is, and as it is given back."""

    file: Path
    theirs: Import
    back: GivenBack | None = None
    pairs: list[tuple[Training, Training]] = field(default_factory=list)  # theirs and the mended one, by seed

    @property
    def cause(self) -> str:
        return self.theirs.findings[0].name

    @property
    def cause_is_gone(self) -> bool:
        return self.back is not None and self.cause not in {each.name for each in self.back.found.findings}


def row(case: Case, untrained_ap: float) -> tuple[Cell, ...]:
    """What is said of one file in the table."""
    assert case.back is not None
    theirs, mended = [pair[0] for pair in case.pairs], [pair[1] for pair in case.pairs]
    hidden = CANNOT_SHOW.get(case.cause)
    fate = f"cannot fail so: {hidden}; {ends(theirs)}" if hidden else ends(theirs)
    changed = "; ".join((*case.back.changes, *(f"not written: {each}" for each in case.back.unwritten)))
    return (
        case.file.name, case.cause, changed or "nothing", fate, loss(theirs), *figures(theirs),
        f"{ends(mended)}; better than untrained in {learnt(mended, untrained_ap)}", loss(mended), *figures(mended),
        "yes" if case.cause_is_gone else "no", len(case.pairs),
    )  # fmt: skip


def ends(trainings: Sequence[Training]) -> str:
    """`trained in 2 of 3, diverged (exploding) in 1`."""
    whole = sum(each.is_whole for each in trainings)
    words = [f"{each.verdict.outcome} ({each.verdict.evidence.get('rule', each.verdict.cause)})" for each in trainings
             if not each.is_whole]  # fmt: skip
    failures = [f"{word} in {words.count(word)}" for word in dict.fromkeys(words)]
    return ", ".join([f"trained in {whole} of {len(trainings)}", *failures])


def learnt(trainings: Sequence[Training], untrained_ap: float) -> int:
    """How many ended better than the untrained detector."""
    return sum(each.ap is not None and each.ap > untrained_ap for each in trainings)


def loss(trainings: Sequence[Training]) -> str:
    """How it went, of the first looks and the last, in the middle of the seeds: `2.81 → 1.04`."""
    both = [(mean(each.losses[:LOOKS]), mean(each.losses[-LOOKS:])) for each in trainings if each.losses]
    return " → ".join(f"{median(each):.3g}" for each in zip(*both, strict=True)) or "–"


def figures(trainings: Sequence[Training]) -> tuple[str, str]:
    """Mean AP and AP50 of those that trained to the end."""
    whole = [(each.ap, each.ap50) for each in trainings if each.ap is not None and each.ap50 is not None]
    return tuple(f"{mean(each):.3f}" for each in zip(*whole, strict=True)) if whole else ("–", "–")  # type: ignore[return-value]


def conclusion(cases: Sequence[Case], untrained_ap: float) -> str:
    """The claim, counted: where the fault shows, does the file given back train where theirs did not?"""
    shown = [case for case in cases if case.cause not in CANNOT_SHOW]
    failed = [case for case in shown if not all(theirs.is_whole for theirs, _ in case.pairs)]
    mended = [case for case in failed if all(each.is_whole for _, each in case.pairs)]
    better = [case for case in shown if case not in failed and _gain(case) > 0]
    return (
        f"Of {len(cases)} files {len(shown)} have a fault that a trial here can have. {len(failed)} of these did not "
        f"train with every seed as they were; of those {len(mended)} do so as they are given back. Of the other "
        f"{len(shown) - len(failed)}, whose fault costs accuracy, {len(better)} have a higher AP as they are given "
        f"back. The cause is gone from {sum(case.cause_is_gone for case in cases)} of {len(cases)} files. The "
        f"untrained detector has an AP of {untrained_ap:.4f}."
    )


def _gain(case: Case) -> float:
    return mean((mended.ap or 0.0) - (theirs.ap or 0.0) for theirs, mended in case.pairs)


def table_of(cases: Sequence[Case], bench: Bench, untrained_ap: float) -> tuple[Table, tuple[str, ...]]:
    """The table of all files, with its notes."""
    table = Table(
        caption=f"Failing files and what `export --onto` gives back, {bench.images} images each, canvas {bench.canvas}",
        columns=COLUMNS,
        rows=tuple(row(case, untrained_ap) for case in cases),
    )
    notes = (
        conclusion(cases, untrained_ap),
        "Every training begins "
        + ("from nothing." if bench.weights == "none" else "from a detector of another domain, heads' last rows anew."),
        f"AP and AP50 are means over the seeds that trained to the end; losses are those of the first and the last "
        f"{LOOKS} looks of the watch, the middle of the seeds. Where a trial here cannot have the fault, both files "
        "train alike, and the claim is the linter's alone: it names the cause, and it is gone from the file.",
    )
    return table, notes
