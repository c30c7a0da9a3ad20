"""A failing file of another framework as `launch --from` reads it, and as `export --onto` gives it back. No Keras."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from detector.config import Canvas, Hyperparameters
from search.commands.onto import basis_of, given_back, mending_target
from search.imports.importing import Import, Source, import_onto, imported_section
from search.report.trial_history import TrialHistory, trial_records
from search.study.budget import Budget
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from storage.records import OutcomeRecord, RungRecord
from trial.verdict import Verdict

FAILING = Path(__file__).resolve().parents[2] / "tests" / "search" / "imports" / "failing"
BY_LINTER = "the linter"

#: Findings whose fault no trial here can have, and why (docs/imports.md).
CANNOT_SHOW = {
    "class-count": "classes are counted in the data here",
    "class-names-missing": "names are the data's own here",
    "channel-order": "pixels are prepared here as the study's weights expect them",
    "pixel-scale": "pixels are prepared here as the study's weights expect them",
    "norm-of-few-images": "batch norm is frozen here",
    "schedule-too-long": "a schedule is kept in parts of the budget here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and how long every file is trained."""

    data: Path
    canvas: Canvas
    images: int
    weights: str = "none"  # as in a study file: what every training begins from

    def imported(self, file: Path) -> Import:
        """The file on the training data, on one GPU."""
        train, _ = Data(folder=self.data).load(seed=0)
        return import_onto(Source(file=file), train, canvas=self.canvas)

    def specification(self, found: Import, *, micro_batch: int = 1) -> Specification:
        """The study that `launch --from` makes of it."""
        return Specification(
            name="mended-files",
            storage="sqlite:///never-opened.db",
            data=Data(folder=self.data),
            detector=DetectorSection(canvas=self.canvas, micro_batch=micro_batch, weights=self.weights),
            imported=imported_section(found),
            budget=Budget(images=self.images),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """What the user gets."""

    file: Path
    changes: tuple[str, ...]
    unwritten: tuple[str, ...]
    by: str  # who says what to change: the linter, or a repair beside it
    found: Import  # read back

    @property
    def hyperparameters(self) -> Hyperparameters:
        return self.found.zero.hyperparameters


def file_given_back(bench: Bench, file: Path, theirs: Import, verdict: Verdict, output: Path) -> GivenBack:
    """The file mended after trial 0 ended so, alone in its study; written to the output, and read back."""
    specification = bench.specification(theirs)
    history = TrialHistory.of(
        specification, "nowhere", trial_records(specification, *_trial_zero(specification, verdict))
    )
    first = history.records[0]
    target = mending_target(first, history) if first.failed else None
    imported = specification.imported
    assert imported is not None
    done = given_back(
        file.read_text(encoding="utf-8"),
        basis_of(file, imported),
        imported,
        target[0] if target else (lambda own: own),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(done.text, encoding="utf-8")
    return GivenBack(
        file=output,
        changes=tuple(map(str, done.changes)),
        unwritten=done.unwritten,
        by=target[1] if target else BY_LINTER,
        found=bench.imported(output),
    )


def _trial_zero(
    specification: Specification, verdict: Verdict
) -> tuple[list[FrozenTrial], list[OutcomeRecord], list[RungRecord]]:
    now = datetime.now(UTC)
    trial = FrozenTrial(
        number=0,
        trial_id=0,
        state=TrialState.COMPLETE,
        value=0.0,
        datetime_start=now,
        datetime_complete=now,
        params=specification.first_point,
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
    return [trial], [OutcomeRecord(trial=0, recorded_at=now, **asdict(verdict))], []
