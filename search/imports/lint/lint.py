"""Everything that can be said of an imported configuration before any training, worst first."""

from search.doctor.diagnostic import worst_first
from search.imports.imported import Imported
from search.imports.lint.anchor_lint import check_their_anchors
from search.imports.lint.class_lint import check_their_classes
from search.imports.lint.finding import Finding
from search.imports.lint.ground import Ground
from search.imports.lint.model_lint import check_differences, check_norms
from search.imports.lint.pixel_lint import check_pixels
from search.imports.lint.schedule_lint import check_schedule
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
