"""What the dashboard adds to Optuna's: notes, the rules for an address, and where its password comes from."""

import socket
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note, save_note

from detector.config import ConfigError
from search.dashboard.notes import Notes
from search.dashboard.server import PASSWORD_VARIABLE, read_password, rules_for, serve
from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.study import find_study


def test_notes_are_written_once_and_again_only_when_something_changed(database: Database, study: optuna.Study) -> None:
    # The study's legend, and one note for each of the trials 1 (outranked), 2 (diverged) and 4 (crashed).
    notes = Notes(find_study(database, study.study_name), None)
    assert notes.publish() == 1 + 3
    assert notes.publish() == 0
    assert Notes(find_study(database, study.study_name), None).publish() == 0  # another process


def test_the_note_of_a_diverged_trial_tells_cause_step_evidence_and_learning_rate(
    database: Database, study: optuna.Study
) -> None:
    Notes(find_study(database, study.study_name), None).publish()
    trial = study.get_trials()[2]
    attributes = study._storage.get_study_system_attrs(study._study_id)
    note = attributes[f"dashboard:{trial._trial_id}:note_str:0"]
    for expected in (
        "diverged: the RPN's box loss exploded",
        "at step 7, after 28 images",
        "| learning rate at the end | 0.0225 |",
    ):
        assert expected in note
    assert "| loss_rpn_box | inf |" in note


def test_a_note_that_a_person_wrote_stays(database: Database, study: optuna.Study) -> None:
    save_note(study, "ask Ada before deleting")
    Notes(find_study(database, study.study_name), None).publish()
    assert get_note(study) == "ask Ada before deleting"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "node-a.example"])
def test_an_address_that_others_reach_needs_a_password(host: str) -> None:
    with pytest.raises(ConfigError, match=PASSWORD_VARIABLE):
        rules_for(host, password=None, writable=False, allowed_hosts=())
    assert rules_for(host, password="long enough", writable=False, allowed_hosts=()).password == "long enough"


def test_the_password_comes_from_a_private_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    assert read_password(None) is None
    monkeypatch.setenv(PASSWORD_VARIABLE, "from the environment")
    assert read_password(None) == "from the environment"
    file = tmp_path / "password"
    file.write_text("from a file\n")
    file.chmod(0o600)
    assert read_password(file) == "from a file"


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("short", 0o600, "at least 8 characters"),
        ("", 0o600, "at least 8 characters"),
        ("long enough", 0o644, "chmod 600"),
        (None, None, "cannot be read"),
    ],
)
def test_a_password_file_that_protects_nothing_is_refused(
    tmp_path: Path, text: str | None, mode: int | None, message: str
) -> None:
    file = tmp_path / "password"
    if text is not None and mode is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(ConfigError, match=message):
        read_password(file)


def test_a_busy_port_is_the_users_to_change(database: Database, study: optuna.Study) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use"):
            serve(
                find_study(database, study.study_name), None, host="127.0.0.1", port=port, announce=lambda address: None
            )


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_the_users_to_change(
    database: Database, study: optuna.Study, host: str
) -> None:
    with pytest.raises(ConfigError, match="is not an address of this machine"):
        serve(
            find_study(database, study.study_name),
            None,
            host=host,
            port=0,
            password="long enough",
            announce=lambda address: None,
        )


def test_an_unknown_study_is_not_served(database: Database) -> None:
    with pytest.raises(StorageError, match="no study 'nothing'"):
        serve(find_study(database, "nothing"), None, host="127.0.0.1", port=0, announce=lambda address: None)
