"""Charts of explanations, as SVG. Same explanation, same bytes."""

import math
from collections.abc import Sequence
from itertools import cycle, zip_longest

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search.drawing.figure import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    YELLOW,
    encoded,
    new_figure,
    plain_log_axis,
)
from search.explanation.cause_share import CauseShare
from search.explanation.confirmation import Confirmation
from search.explanation.effects.anchor_effect import AnchorEffect
from search.explanation.effects.rate_boundary import RatePoint
from search.explanation.embedded_image import EmbeddedImage
from search.explanation.study_explanation import StudyExplanation
from search.explanation.trial_explanation import TrialExplanation
from trial.outcome import Outcome
from trial.reports import TelemetryPoint

#: Colours, and shapes for print, of the first outcomes in their order; the others share one.
STYLES = ((GREEN, "o"), (SKY, "s"), (ORANGE, "X"), (YELLOW, "v"))
OTHER_STYLE = (GREY, "D")
MOST_BARS = 12
JITTER = 0.03  # octaves between two trials at the same batch size, so that none hides another


def trial_charts(explanation: TrialExplanation) -> list[EmbeddedImage]:
    """The curves of one trial; none where it left no telemetry."""
    return [_curves(explanation)] if explanation.curve else []


def study_charts(explanation: StudyExplanation) -> list[EmbeddedImage]:
    """What there is to see of a study: causes, learning rate by batch size, importances, anchors."""
    charts = []
    if explanation.causes:
        charts.append(_causes(explanation.causes))
    if explanation.points:
        charts.append(_boundary(explanation.points))
    if explanation.importances.names:
        charts.append(_importances(explanation))
    if explanation.anchors is not None and any(point.ap is not None for point in explanation.anchors.points):
        charts.append(_anchors(explanation.anchors))
    return charts


def replay_chart(confirmation: Confirmation) -> EmbeddedImage:
    """The total loss of both runs of a replay."""
    runs = [("as it was", confirmation.as_it_was, ORANGE)]
    if confirmation.with_repair is not None:
        runs.append(("with the repair", confirmation.with_repair, GREEN))
    with new_figure(width_in=8, height_in=3.2) as figure:
        axes = figure.subplots()
        for name, run, colour in runs:
            _curve(axes, name, run.losses, colour)
            if run.failed:
                axes.axvline(run.images, color=colour, linestyle="--", linewidth=1)
        plain_log_axis(axes, "y")
        axes.set_xlabel("training images seen")
        axes.set_ylabel("total loss")
        axes.legend()
        return _embedded(
            figure,
            "The replay",
            "Total loss of both runs, vertical axis logarithmic; a dashed line: where a failed run ended.",
        )


def _curves(explanation: TrialExplanation) -> EmbeddedImage:
    """Losses, gradient norms, update ratios and learning rate over the steps, the step of the failure marked."""
    curve = explanation.curve
    names = list(dict.fromkeys(name for point in curve for name in point.figures))
    panels = {
        "losses": [name for name in names if name.startswith("loss")],
        "gradient norms, before clipping": [name for name in names if name.startswith("gradient_norm")],
        "update ratio: |change| / |weights| of a step": [name for name in names if name.startswith("update_ratio")],
        "learning rate": [name for name in names if name == "learning_rate"],
    }
    used = {title: series for title, series in panels.items() if series}
    outcome = explanation.record.outcome
    failed_at = outcome.step if outcome is not None and explanation.record.failed else None
    rows = math.ceil(len(used) / 2)
    with new_figure(width_in=11, height_in=3.1 * rows) as figure:
        grid = figure.subplots(rows, min(2, len(used)), squeeze=False).flatten()
        for axes, (title, series) in zip(grid, used.items(), strict=False):
            _panel(axes, title, series, curve, failed_at)
        for axes in grid[len(used) :]:
            axes.remove()
        return _embedded(
            figure,
            f"Trial {explanation.record.number}, step by step",
            "Curves over the optimizer steps, vertical axes logarithmic. A dashed red line marks the step of the "
            "failure; values that were not finite are left out.",
        )


def _panel(
    axes: Axes, title: str, series: Sequence[str], curve: Sequence[TelemetryPoint], failed_at: int | None
) -> None:
    for name, colour in zip(series, cycle(COLOURS), strict=False):
        points = [(point.step, point.figures.get(name, math.nan)) for point in curve]
        _curve(axes, name, points, colour)
    if failed_at is not None:
        axes.axvline(failed_at, color="#c00000", linestyle="--", linewidth=1)
    plain_log_axis(axes, "y")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(axes.lines) > 1:
        axes.legend(fontsize=7)


def _curve(axes: Axes, name: str, points: Sequence[tuple[int, float]], colour: str) -> None:
    """A line through those points that a logarithmic axis can show."""
    finite = [(x, y) for x, y in points if 0 < y < math.inf]
    if finite:
        axes.plot(*zip(*finite, strict=True), color=colour, marker="o", markersize=3, linewidth=1.4, label=name)


def _causes(causes: Sequence[CauseShare]) -> EmbeddedImage:
    with new_figure(width_in=8, height_in=0.9 + 0.55 * len(causes)) as figure:
        axes = figure.subplots()
        ended, images = ([cause.share_of_ended for cause in causes], [cause.share_of_images for cause in causes])
        _bars(axes, [str(cause.cause) for cause in causes], (BLUE, ended), (YELLOW, images))
        axes.set_xlabel("% of all trials that ended (blue), % of all images spent (yellow)")
        return _embedded(
            figure,
            "Why trials failed",
            "For each cause, the share of trials that it ended and the share of images that they had cost.",
        )


def _boundary(points: Sequence[RatePoint]) -> EmbeddedImage:
    """Peak learning rate against batch size, coloured by outcome; Adam's trials have a black edge."""
    with new_figure(width_in=8, height_in=4.6) as figure:
        axes = figure.subplots()
        sizes = sorted({point.batch_size for point in points})
        for outcome, (colour, marker) in zip_longest(Outcome, STYLES, fillvalue=OTHER_STYLE):
            group = [point for point in points if point.outcome == outcome]
            if not group:
                continue
            axes.scatter(
                [point.batch_size * 2 ** (JITTER * (point.trial % 9 - 4)) for point in group],
                [point.rate for point in group],
                s=60,
                c=colour,
                marker=marker,
                edgecolors=["black" if point.optimizer == "adam" else "none" for point in group],
                label=outcome,
            )
        axes.set_xscale("log", base=2)
        plain_log_axis(axes, "y")
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("batch size")
        axes.set_ylabel("peak learning rate")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return _embedded(
            figure,
            "Learning rate by batch size",
            "Each mark is one trial; crosses diverged. Where crosses begin is the boundary that this study found. "
            "Marks with a black edge used Adam, whose rates don't compare with SGD's.",
        )


def _importances(explanation: StudyExplanation) -> EmbeddedImage:
    shares = explanation.importances
    names = shares.names[:MOST_BARS]
    with new_figure(width_in=8, height_in=0.9 + 0.36 * len(names)) as figure:
        axes = figure.subplots()
        both = ((GREEN, shares.to_be_best), (ORANGE, shares.not_to_fail))
        _bars(axes, names, *((colour, [each.get(name, 0.0) for name in names]) for colour, each in both))
        axes.set_xlabel("importance in %: to be among the best (green), not to fail (red)")
        return _embedded(
            figure,
            "Which parameters mattered",
            f"PED-ANOVA over {shares.trials} trials: how much each parameter's value set the best trials apart from "
            "the others, and the healthy ones from the failures. With few trials this is a hint, no proof.",
        )


def _bars(axes: Axes, names: Sequence[str], *pair: tuple[str, Sequence[float]]) -> None:
    """Horizontal bars in percent, at each name one of each of one or two colours, the first name on top."""
    for offset, (colour, shares) in zip((-0.2, 0.2), pair, strict=False):
        axes.barh(
            [place + offset for place in range(len(names))], [100 * share for share in shares], 0.38, color=colour
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def _anchors(effect: AnchorEffect) -> EmbeddedImage:
    with new_figure(width_in=8, height_in=4.2) as figure:
        axes = figure.subplots()
        reached = [(100 * point.covered, point.ap, point.trial) for point in effect.points if point.ap is not None]
        axes.scatter([covered for covered, _, _ in reached], [ap for _, ap, _ in reached], color=BLUE)
        for covered, ap, trial in reached:
            axes.annotate(str(trial), (covered, ap), (4, 4), textcoords="offset points", fontsize=7)
        failed = [100 * point.covered for point in effect.points if point.ap is None]
        axes.scatter(failed, [0.0] * len(failed), color=ORANGE, marker="x")
        axes.set_xlabel("% of the boxes that some anchor overlaps by half or more (IoU ≥ 0.5)")
        axes.set_ylabel("AP at the first rung")
        return _embedded(
            figure,
            "Fit of the anchors and AP",
            "Each point is one trial, with its number; red crosses at the bottom have no AP yet or failed.",
        )


def _embedded(figure: Figure, title: str, description: str) -> EmbeddedImage:
    return EmbeddedImage(
        title=title, description=description, media_type="image/svg+xml", content=encoded(figure, "svg")
    )
