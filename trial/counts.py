"""What a count of steps or images can be: any column of ours and of Optuna's holds it."""

COUNT_LIMIT = 2**31


def check_counts(**counts: int) -> None:
    """Return if every count is one.

    Raises:
        ValueError: one is negative, or larger than a database takes.
    """
    for name, count in counts.items():
        if not 0 <= count < COUNT_LIMIT:
            raise ValueError(f"{name} must lie in 0 … {COUNT_LIMIT - 1}, but is {count}")
