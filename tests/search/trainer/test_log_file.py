import os

from search.trainer import log_file
from search.trainer.log_file import MOST_TRAINER_LOGS, open_log


def test_a_log_is_appended_to_and_put_aside_once_it_is_large(tmp_path, monkeypatch):
    log = tmp_path / "logs" / "worker-1.log"
    for text in (b"one\n", b"two\n"):
        with open_log(log) as file:
            file.write(text)
    assert log.read_bytes() == b"one\ntwo\n"
    monkeypatch.setattr(log_file, "MOST_MIB", 0)
    open_log(log).close()
    assert log.read_bytes() == b""
    assert (tmp_path / "logs" / "worker-1.log.1").read_bytes() == b"one\ntwo\n"


def test_only_the_newest_logs_of_trainers_stay_and_those_of_workers_all(tmp_path):
    for number in range(MOST_TRAINER_LOGS + 10):
        for name in (f"trainer-{number:03d}.log", f"worker-{number:03d}.log"):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (number, number))
    open_log(tmp_path / "trainer-new.log").close()
    trainers = sorted(path.name for path in tmp_path.glob("trainer-*"))
    assert len(trainers) == MOST_TRAINER_LOGS
    assert (trainers[0], trainers[-1]) == ("trainer-011.log", "trainer-new.log")
    assert len([*tmp_path.glob("worker-*")]) == MOST_TRAINER_LOGS + 10
