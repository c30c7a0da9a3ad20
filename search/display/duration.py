"""How long something has lasted, and how long it will: in words for a terminal."""

import math

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def clock_text(seconds: float) -> str:
    """`0:07`, `12:40` or `3:02:11`."""
    minutes, rest = divmod(int(max(0.0, seconds)), MINUTE_S)
    hours, minutes = divmod(minutes, MINUTE_S)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_left(elapsed_s: float, done: int, remaining: int) -> tuple[float, float] | None:
    """The likely least and most seconds that `remaining` equal pieces take, when `done` took `elapsed_s`.

    One standard deviation to each side where the pieces' durations vary as much as their mean, as those of pruned and
    whole trials do: 1/√done for what is known of the mean, 1/√remaining for what is drawn. None while nothing is done.
    """
    if done < 1 or remaining < 1 or elapsed_s <= 0:
        return None
    likely_s = elapsed_s / done * remaining
    spread = 1 + math.sqrt(1 / done + 1 / remaining)
    return likely_s / spread, likely_s * spread


def range_text(least_s: float, most_s: float) -> str:
    """`40 to 90 s`, `12 to 25 min` or `3 to 5 h`; one number where both are the same."""
    unit_s, unit = next(
        (size, name) for size, name in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s"))
        if most_s >= 2 * size or size == 1
    )  # fmt: skip
    least, most = (max(1, round(each_s / unit_s)) for each_s in (least_s, most_s))
    return f"{most} {unit}" if least >= most else f"{least} to {most} {unit}"
