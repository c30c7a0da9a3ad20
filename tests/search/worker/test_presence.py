"""What a worker says that it is busy with."""

import threading

from search.trainer.protocol import Preparing
from search.worker.outage import Outage
from search.worker.presence import Presence
from storage.study import find_study
from storage.workers import read_workers
from tests.search.conftest import STUDY


def test_a_new_stage_is_said_at_once_and_its_count_not_at_each_step(database, study):
    stored, outage = find_study(database, STUDY), Outage(threading.Event())
    presence = Presence(stored, "anna", outage)

    def doing() -> str:
        return next(worker.doing for worker in read_workers(stored) if worker.worker == "anna")

    presence.show(None, device="cpu")
    assert doing() == ""
    presence.busy(Preparing(stage="decoding images", done=0, total=90))
    presence.busy(Preparing(stage="decoding images", done=1, total=90))  # a moment later
    assert doing() == "decoding images, 0 of 90"
    presence.busy(Preparing(stage="building the network", done=0, total=1))
    assert doing() == "building the network"
    presence.show(None, device="cpu")  # a heartbeat
    assert doing() == "building the network"
    presence.busy(None)
    assert doing() == ""
