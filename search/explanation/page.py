"""An explanation as one HTML file: no script, no address of anything outside, so it opens anywhere, years later.

The template escapes every value. A content security policy in the page forbids the browser to load anything.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from detector.config import ConfigError
from detector.whole_file import write_whole
from search.explanation.confirmation import Confirmation
from search.explanation.embedded_image import EmbeddedImage
from search.explanation.study_explanation import StudyExplanation
from search.explanation.trial_explanation import TrialExplanation
from search.report.value_text import value_text
from spaces.catalogue import DEFINITIONS

MARK = "frcnn-search explain"  # in the head of every page of ours
MOST_FIGURES = 24
MOST_FAILURES = 100  # in the list of failed trials; --json has all

#: For readers who have never trained a detector.
MEANINGS: Mapping[str, str] = {
    "learning_rate": "how far one update moves the weights along the gradient",
    "gradient_norm": "length of the gradient before clipping; a sudden rise is the first sign of divergence",
    "loss": "what training makes smaller; a healthy total is below 10",
    "loss_rpn_class": "is there an object at an anchor? (first stage)",
    "loss_rpn_box": "where is it? (first stage)",
    "loss_roi_class": "which class is it? (second stage)",
    "loss_roi_box": "where exactly? (second stage)",
    "positive_anchors": "anchors per image that count as an example of an object",
    "low_quality_anchors": "of these, below the usual overlap: only the best of a bad lot",
    "sampled_anchors": "anchors per image that the first stage learns from in a step",
    "sampled_rois": "proposals per image that the second stage learns from in a step",
    "foreground_rois": "proposals per image that count as an object in the second stage",
    "foreground_proposals": "the same without the annotated boxes themselves",
    "valid_proposals": "proposals per image that the first stage handed on",
    "proposal_recall": "share of boxes that a proposal overlaps by half or more",
    "max_objectness": "largest raw score of the first stage; above 50 it is saturated",
    "max_class_logit": "largest raw score of the second stage; above 100 it is saturated",
    "clamped_deltas": "share of proposals whose size ran into the limit",
    "foreground_accuracy": "share of object examples that got the right class",
    "false_negatives": "share of object examples that were called background",
    "boxes": "annotated boxes per image",
    "largest_label": "largest number of a class; as large as the number of classes, it would mean the background",
    "feature_rms": "size of the backbone's features",
}


def render_study(explanation: StudyExplanation, charts: Sequence[EmbeddedImage]) -> str:
    """The page of a study."""
    failures = explanation.failures[:MOST_FAILURES]
    return _render("study.html", explanation=explanation, charts=charts, failures=failures)


def render_trial(
    explanation: TrialExplanation,
    charts: Sequence[EmbeddedImage],
    images: Sequence[EmbeddedImage],
    confirmation: Confirmation | None = None,
    replay: EmbeddedImage | None = None,
) -> str:
    """The page of a trial; `images` are those of the failing batch, `replay` shows both runs of the confirmation."""
    return _render(
        "trial.html",
        explanation=explanation,
        charts=charts,
        images=images,
        confirmation=confirmation,
        replay=replay,
        meanings=MEANINGS,
        rows=explanation.figures[:MOST_FIGURES],
    )


def write_page(file: Path, page: str) -> None:
    """Write the page, whole or not at all; an earlier page of ours is replaced.

    Raises:
        ConfigError: the file is something else, or can't be written.
    """
    try:
        if file.exists() and MARK not in file.read_text(encoding="utf-8", errors="replace")[:1000]:
            raise ConfigError(f"{file} is there and is not a page of ours; choose another --html, or move it away")
        write_whole(file, page)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}); choose another --html") from None


def _render(template: str, **values: object) -> str:
    environment = Environment(
        loader=PackageLoader("search.explanation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": value_text, "percent": lambda share: f"{share:.0%}", "about": _about}
    return environment.get_template(template).render(mark=MARK, **values)


def _about(parameter: str) -> str:
    """What a parameter is, in a few words."""
    return DEFINITIONS[parameter].about if parameter in DEFINITIONS else ""
