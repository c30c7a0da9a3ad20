"""Everything that can be said of an imported configuration before any training, worst first."""

from search.doctor.diagnostic import worst_first
from search.imports.anchor_lint import check_their_anchors
from search.imports.class_lint import check_their_classes
from search.imports.finding import Finding
from search.imports.ground import Ground
from search.imports.imported import Imported
from search.imports.model_lint import check_differences, check_norms
from search.imports.pixel_lint import check_pixels
from search.imports.schedule_lint import check_schedule
from search.imports.trial_zero import TrialZero


def lint(imported: Imported, zero: TrialZero, ground: Ground) -> tuple[Finding, ...]:
    """The findings in their keys. Of equally bad ones those come first that spoil all that follows."""
    return worst_first(
        [
            *check_pixels(imported),
            *check_their_classes(imported, ground),
            *check_norms(imported),
            *check_schedule(imported, ground),
            *check_their_anchors(imported, ground),
            *check_differences(imported, zero),
        ]
    )
