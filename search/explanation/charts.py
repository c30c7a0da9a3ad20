"""Figures of explanations, as SVG drawn by matplotlib. Same explanation, same bytes."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from search.explanation.confirmation import Confirmation
from search.explanation.effects.anchor_effect import AnchorEffect
from search.explanation.effects.rate_boundary import RatePoint
from search.explanation.picture import Picture
from search.explanation.study_explanation import CauseShare, StudyExplanation
from search.explanation.trial_explanation import TrialExplanation
from storage.records import TelemetryPoint
from trial.outcome import Outcome

#: Okabe and Ito's colours, told apart by everyone, and shapes for print.
STYLES: Mapping[str, tuple[str, str]] = {
    Outcome.COMPLETE: ("#009e73", "o"),
    Outcome.SLOW: ("#56b4e9", "s"),
    Outcome.DIVERGED: ("#d55e00", "X"),
    Outcome.NOT_LEARNING: ("#e69f00", "v"),
}
OTHER_STYLE = ("#777777", "D")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777")
MOST_BARS = 12
JITTER = 0.03  # octaves between two trials at the same batch size, so that none hides another

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",  # a page must look the same where a font is missing
    "svg.hashsalt": "frcnn-search",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}


def trial_figures(explanation: TrialExplanation) -> list[Picture]:
    """The curves of one trial; none where it left no telemetry."""
    return [_curves(explanation)] if explanation.curve else []


def study_figures(explanation: StudyExplanation) -> list[Picture]:
    """What there is to see of a study: causes, learning rate by batch size, importances, anchors."""
    figures = []
    if explanation.causes:
        figures.append(_causes(explanation.causes))
    if explanation.points:
        figures.append(_boundary(explanation.points))
    if explanation.importances.names:
        figures.append(_importances(explanation))
    if explanation.anchors is not None and any(point.ap is not None for point in explanation.anchors.points):
        figures.append(_anchors(explanation.anchors))
    return figures


def replay_figure(confirmation: Confirmation) -> Picture:
    """The total loss of both runs of a replay."""
    runs = [("as it was", confirmation.as_it_was, COLOURS[1])]
    if confirmation.with_repair is not None:
        runs.append(("with the repair", confirmation.with_repair, COLOURS[2]))
    with _figure(width=8, height=3.2) as figure:
        axes = figure.subplots()
        for name, run, colour in runs:
            points = [(images, loss) for images, loss in run.losses if 0 < loss < math.inf]
            axes.plot(
                [p[0] for p in points], [p[1] for p in points], color=colour, marker="o", markersize=4, label=name
            )
            if run.failed:
                axes.axvline(run.images, color=colour, linestyle="--", linewidth=1)
        _plain_log(axes)
        axes.set_xlabel("training images seen")
        axes.set_ylabel("total loss")
        axes.legend(frameon=False)
        return Picture(
            title="The replay",
            description="Total loss of both runs, vertical axis logarithmic; a dashed line: where a failed run ended.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _curves(explanation: TrialExplanation) -> Picture:
    """Losses, gradient norms, update ratios and learning rate over the steps, the step of the failure marked."""
    curve = explanation.curve
    names = list(dict.fromkeys(name for point in curve for name in point.figures))
    panels = {
        "losses": [name for name in names if name.startswith("loss")],
        "gradient norms, before clipping": [name for name in names if name.startswith("gradient_norm")],
        "update ratio: |change| / |weights| of a step": [name for name in names if name.startswith("update_ratio")],
        "learning rate": [name for name in names if name == "learning_rate"],
    }
    shown = {title: series for title, series in panels.items() if series}
    outcome = explanation.case.outcome
    failed_at = outcome.step if outcome is not None and explanation.case.failed else None
    with _figure(width=11, height=3.1 * math.ceil(len(shown) / 2)) as figure:
        grid = figure.subplots(math.ceil(len(shown) / 2), min(2, len(shown)), squeeze=False).flatten()
        for axes, (title, series) in zip(grid, shown.items(), strict=False):
            _lines(axes, title, series, curve, failed_at)
        for axes in grid[len(shown) :]:
            axes.remove()
        return Picture(
            title=f"Trial {explanation.case.number}, step by step",
            description="Curves over the optimizer steps, vertical axes logarithmic. A dashed red line marks the step "
            "of the failure; values that were not finite are left out.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _lines(
    axes: Axes, title: str, series: Sequence[str], curve: Sequence[TelemetryPoint], failed_at: int | None
) -> None:
    for name, colour in zip(series, _cycled(len(series)), strict=True):
        points = [(p.step, p.figures[name]) for p in curve if 0 < p.figures.get(name, math.nan) < math.inf]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=colour, marker="o", markersize=3, linewidth=1.4, label=name)
    if failed_at is not None:
        axes.axvline(failed_at, color="#c00000", linestyle="--", linewidth=1)
    _plain_log(axes)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(axes.lines) > 1:
        axes.legend(fontsize=7, frameon=False)


def _causes(causes: Sequence[CauseShare]) -> Picture:
    with _figure(width=8, height=0.9 + 0.55 * len(causes)) as figure:
        axes = figure.subplots()
        places = range(len(causes))
        axes.barh([p - 0.2 for p in places], [100 * c.share_of_ended for c in causes], 0.38, color=COLOURS[0])
        axes.barh([p + 0.2 for p in places], [100 * c.share_of_images for c in causes], 0.38, color=COLOURS[4])
        axes.set_yticks(list(places), [str(cause.cause) for cause in causes])
        axes.invert_yaxis()
        axes.set_xlabel("% of all trials that ended (blue), % of all images spent (yellow)")
        return Picture(
            title="Why trials failed",
            description="For each cause, the share of trials that it ended and the share of images that they had cost.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _boundary(points: Sequence[RatePoint]) -> Picture:
    """Peak learning rate against batch size, coloured by outcome; Adam's trials have a black edge."""
    with _figure(width=8, height=4.6) as figure:
        axes = figure.subplots()
        sizes = sorted({point.batch_size for point in points})
        for outcome in dict.fromkeys([*STYLES, *(point.outcome for point in points)]):
            group = [point for point in points if point.outcome == outcome]
            if not group:
                continue
            colour, marker = STYLES.get(outcome, OTHER_STYLE)
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
        _plain_log(axes)
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("batch size")
        axes.set_ylabel("peak learning rate")
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return Picture(
            title="Learning rate by batch size",
            description="Each mark is one trial; crosses diverged. Where crosses begin is the boundary that this study "
            "found. Marks with a black edge used Adam, whose rates don't compare with SGD's.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _importances(explanation: StudyExplanation) -> Picture:
    shares = explanation.importances
    names = shares.names[:MOST_BARS]
    places = range(len(names))
    with _figure(width=8, height=0.9 + 0.36 * len(names)) as figure:
        axes = figure.subplots()
        axes.barh(
            [p - 0.2 for p in places], [100 * shares.to_be_best.get(n, 0.0) for n in names], 0.38, color=COLOURS[2]
        )
        if shares.not_to_fail:
            values = [100 * shares.not_to_fail.get(name, 0.0) for name in names]
            axes.barh([p + 0.2 for p in places], values, 0.38, color=COLOURS[1])
        axes.set_yticks(list(places), names)
        axes.invert_yaxis()
        axes.set_xlabel("importance in %: to be among the best (green), not to fail (red)")
        return Picture(
            title="Which parameters mattered",
            description=f"PED-ANOVA over {shares.trials} trials: how much each parameter's value set the best trials "
            "apart from the others, and the healthy ones from the failures. With few trials this is a hint, no proof.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _anchors(effect: AnchorEffect) -> Picture:
    with _figure(width=8, height=4.2) as figure:
        axes = figure.subplots()
        reached = [(100 * point.covered, point.ap, point.trial) for point in effect.points if point.ap is not None]
        axes.scatter([covered for covered, _, _ in reached], [ap for _, ap, _ in reached], color=COLOURS[0])
        for covered, ap, trial in reached:
            axes.annotate(str(trial), (covered, ap), (4, 4), textcoords="offset points", fontsize=7)
        failed = [100 * point.covered for point in effect.points if point.ap is None]
        axes.scatter(failed, [0.0] * len(failed), color=COLOURS[1], marker="x")
        axes.set_xlabel("% of the boxes that some anchor overlaps by half or more (IoU ≥ 0.5)")
        axes.set_ylabel("AP at the first rung")
        return Picture(
            title="Fit of the anchors and AP",
            description="Each point is one trial, with its number; red crosses at the bottom have no AP yet or failed.",
            media_type="image/svg+xml",
            content=_svg(figure),
        )


def _plain_log(axes: Axes) -> None:
    """A logarithmic vertical axis with numbers as 0.001 rather than as powers, which would need mathematical text."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


@contextmanager
def _figure(*, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, drawn with our settings and no window."""
    with mpl.rc_context(_SETTINGS):
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _cycled(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
