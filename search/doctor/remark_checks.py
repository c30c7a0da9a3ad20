"""What the reader of the annotations left out, or took otherwise than it stands."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.data.dataset import Dataset
from detector.data.layout import left_alone
from search.doctor.diagnostic import Diagnostic, Level, located


def check_remarks(datasets: Iterable[Dataset]) -> Iterator[Diagnostic]:
    """One diagnostic for each remark on each of the files."""
    for dataset in datasets:
        for remark in dataset.remarks:
            yield Diagnostic(
                name=remark.name,
                level=Level.NOTE if remark.harmless else Level.WARNING,
                message=remark.message,
                advice=remark.advice,
                count=remark.count,
                examples=remark.examples,
            )


def check_rest(folder: Path | None) -> Iterator[Diagnostic]:
    """What of the dataset's folder nothing reads."""
    tests = left_alone(folder) if folder else ()
    yield from located(
        tests,
        name="test-split-left-alone",
        level=Level.NOTE,
        message=f"a test split is there ({', '.join(tests[:3])}); neither training nor validation touches it",
        advice="nothing; a search that validates on test data has no test data left",
    )
