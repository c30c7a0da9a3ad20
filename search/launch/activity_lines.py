"""What each worker of a study does now, in one line of at most 80 characters."""

import time
from collections.abc import Callable, Sequence

from search.display.duration import clock_text
from search.display.stages import Stages, stage_of
from search.launch.snapshot import Activity

MOST_WORKERS = 8  # whose lines are shown


class ActivityLines:
    """Keeps since when each trial and each stage has been going on."""

    def __init__(self, rungs: Sequence[int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rungs = rungs
        self._clock = clock
        self._stages = Stages(clock=clock)
        self._trials: dict[int, float] = {}  # when they were first seen

    def of(self, activities: Sequence[Activity]) -> tuple[list[str], list[str]]:
        """One line for each of the first workers; and those whose stage has just begun, for a log."""
        lines, news = [], []
        for activity in activities:
            line, stage = self._line(activity)
            lines.append(line)
            news += [stage] if stage else []
        if (more := len(lines) - MOST_WORKERS) > 0:
            lines[MOST_WORKERS:] = [f"and {more} more workers"]
        return lines, news

    def _line(self, activity: Activity) -> tuple[str, str]:
        """The worker's line, and the stage that has just begun."""
        worker = activity.worker
        who = f"worker on {worker.host}:" if worker.trial is None else f"trial {worker.trial:<3}"
        doing = worker.doing or ("waiting for a trial" if worker.trial is None else "")
        begins = self._stages.begins(worker.worker, doing)
        if doing:
            stage = f"{who.strip()} {stage_of(doing)}" if begins and worker.doing else ""
            return f"{who} {doing} ({self._stages.elapsed(worker.worker)})", stage
        return f"{who} {self._training(activity)}", ""

    def _training(self, activity: Activity) -> str:
        worker, latest = activity.worker, activity.latest
        assert worker.trial is not None
        images = max(worker.images, latest.images if latest else 0)
        passed = min(activity.rungs, len(self._rungs) - 1)
        goal = self._rungs[passed]
        parts = [f"rung {passed + 1} of {len(self._rungs)} at {goal}: {images} images"]
        if worker.images_per_s > 0:
            left_s = max(0, goal - images) / worker.images_per_s
            parts += [f"{worker.images_per_s:.1f} images/s", f"{clock_text(left_s)} left"]
        if latest and "loss" in latest.figures:
            parts.append(f"loss {latest.figures['loss']:.3g}")
        began_s = self._trials.setdefault(worker.trial, self._clock())
        return f"{clock_text(self._clock() - began_s):>5}  " + ", ".join(parts)
