"""LocalPaths where a worker dies on purpose, for tests of faults; inert without the environment variable.

FRCNN_CRASH_AT    the name of one point; the process that comes to it kills itself with SIGKILL
"""

import os
import signal
from enum import StrEnum

VARIABLE = "FRCNN_CRASH_AT"


class CrashPoint(StrEnum):
    """Between which two writes."""

    AFTER_ASK = "after_ask"  # within the transaction that asks for a trial and claims it
    WITHIN_CLAIM = "within_claim"  # within the transaction that takes over a trial which was left behind
    AFTER_CLAIM = "after_claim"  # before the first heartbeat
    BEFORE_FIRST_REPORT = "before_first_report"  # the trainer's checkpoint is there, the evaluation is not on disk
    AFTER_OUTBOX = "after_outbox"  # an evaluation is on disk, the database doesn't know it
    AFTER_REPORT = "after_report"  # the database knows it, the outbox still holds it
    BEFORE_TELL = "before_tell"  # the verdict is on disk, the database doesn't know it
    BETWEEN_OUTCOME_AND_TELL = "between_outcome_and_tell"  # within the transaction that ends a trial
    AFTER_TELL = "after_tell"  # the trial is told, the outbox still holds the verdict


def crash_point(point: CrashPoint) -> None:
    """Die here, if the environment says so."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
