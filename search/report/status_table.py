"""How a study stands, as text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.report.certainty import alike_text
from search.report.outlook import prospect_text
from search.report.ranking import RankedTrial
from search.report.status import Death, Status, TrialLosses, WorkerState
from search.report.untrained import untrained_text
from trial.outcome import Outcome, refusals

DEAD_AFTER_S = 120.0  # a worker says six times a lease what it does; two leases of silence are a bad sign


def status_table(status: Status) -> RenderableType:
    """A study as it stood, for a terminal of 100 columns."""
    parts: list[RenderableType] = [_summary(status)]
    if status.deaths:
        parts.append(_deaths_table(status.deaths))
    if status.workers:
        parts.append(_workers_table(status.workers))
    return Group(*parts)


def _summary(status: Status) -> Table:
    table = Table.grid(padding=(0, 2))
    budget = f" of {status.budget_trials}" if status.budget_trials is not None else ""
    states = ", ".join(f"{count} {state}" for state, count in status.states.items())
    states += "; those not trained among them" if status.refused else ""
    rows = {
        "study": f"{status.study} in {status.storage}",
        "trials": f"{status.finished}{budget} finished" + (f" ({states})" if states else ""),
        "best so far": _result(status.best) or "no trial has a value yet",
        "as good": alike_text(status.best, status.alike),
        "reference": _result(status.reference),
        "untrained": untrained_text(status.best, status.untrained_ap),
        "ended": ", ".join(f"{count} {outcome}" for outcome, count in status.outcomes.items()),
        "not trained": status.refused
        and f"{refusals({Outcome(word): count for word, count in status.outcomes.items()})}; none of the budget",
        "pace": f"{status.trials_per_hour:.1f} trials per hour" if status.trials_per_hour else "",
        "enough": status.settled and str(status.settled),
        "another hour": prospect_text(status.another_hour, status.best),
        "paused": status.paused and f"{_numbers(status.paused)}; the best go on",
        "waiting": _numbers(status.waiting),
        "left behind": status.claimable and f"{_left_behind(status)}; the next launch or worker goes on",
        "changed hands": _times(status.changed_hands),
        "lost trainers": "; ".join(map(_loss, status.lost_trainers)),
        "disk": status.disk_mib and f"{status.disk_mib} MiB of checkpoints and logs on this machine",
        "outages survived": status.outages.count and f"{status.outages.count}, {status.outages.seconds:.0f} s in all",
    }
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, style="bold"), Text(text))
    return table


def _left_behind(status: Status) -> str:
    """Trials without a living lease. A worker that can't reach its database, or write there, still trains its own."""
    silent_s = {worker.trial: worker.age_s for worker in status.workers if worker.trial is not None}
    return ", ".join(
        f"{trial} (its worker was last heard of {silent_s[trial]:.0f} s ago, and may be waiting for database or disk)"
        if trial in silent_s
        else str(trial)
        for trial in status.claimable
    )


def _result(trial: RankedTrial | None) -> str:
    if trial is None:
        return ""
    value = "no AP" if trial.ap is None else f"AP {trial.ap_text} after {trial.images} images"
    return f"trial {trial.number}: {value}, {trial.ending}"


def _deaths_table(found: Sequence[Death]) -> Table:
    table = Table(box=SIMPLE_HEAD, title="causes of death", title_justify="left")
    table.add_column("trials", justify="right")
    for heading in ("outcome", "cause", "which"):
        table.add_column(heading)
    for death in found:
        seen = "" if death.words == death.cause else f" ({death.cause})"
        cells = (str(len(death.trials)), death.outcome, f"{death.words}{seen}", _numbers(death.trials))
        table.add_row(*map(Text, cells))
    return table


def _workers_table(workers: Sequence[WorkerState]) -> Table:
    table = Table(box=SIMPLE_HEAD, title="what runs where", title_justify="left")
    for heading in ("worker", "host", "device"):
        table.add_column(heading)
    for heading in ("trial", "doing", "images", "images/s", "seen, s ago"):
        table.add_column(heading, justify="right")
    for worker in workers:
        trial = "–" if worker.trial is None else str(worker.trial)
        cells = (worker.worker, worker.host, worker.device, trial, _doing(worker), str(worker.images))
        silent = worker.trial is not None and worker.age_s > DEAD_AFTER_S  # else it may be preparing a trainer
        seen = f"{worker.age_s:.0f}{' (dead?)' if silent else ''}"
        table.add_row(*map(Text, (*cells, f"{worker.images_per_s:.1f}", seen)))
    return table


def _doing(worker: WorkerState) -> str:
    if worker.doing or worker.rung is None:
        return worker.doing or "–"
    return f"rung {worker.rung}" if worker.rungs is None else f"rung {worker.rung} of {worker.rungs}"


def _times(changes: Mapping[int, int]) -> str:
    return "; ".join(f"trial {trial} {count} ×" for trial, count in changes.items())


def _loss(lost: TrialLosses) -> str:
    return f"trial {lost.trial} {lost.lost} ×" + (f" ({lost.hung} hung)" if lost.hung else "")


def _numbers(trials: Iterable[int]) -> str:
    return ", ".join(map(str, trials))
