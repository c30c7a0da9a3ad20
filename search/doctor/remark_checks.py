"""What the reader of the annotations left out, or took otherwise than it stands."""

from collections.abc import Iterable, Iterator

from detector.data.dataset import Dataset
from search.doctor.diagnostic import Diagnostic, Level


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
