from pathlib import Path

import pytest

from detector.config import ConfigError
from search.study.storage_url import absolute_storage, check_storage, read_storage


@pytest.mark.parametrize(
    ("storage", "absolute"),
    [
        pytest.param("sqlite:///a.db", "sqlite:////home/a.db", id="relative file"),
        pytest.param("sqlite:////x/a.db", "sqlite:////x/a.db", id="absolute file"),
        pytest.param("sqlite:///../a.db", "sqlite:////a.db", id="beside the folder"),
        pytest.param("file:secret", "file:/home/secret", id="reference to a file"),
        pytest.param("env:STORAGE", "env:STORAGE", id="reference to a variable"),
        pytest.param("postgresql://h/d", "postgresql://h/d", id="server"),
    ],
)
def test_a_storage_is_taken_from_the_folder_of_its_study_file(storage, absolute):
    assert check_storage(storage) == storage
    assert absolute_storage(storage, Path("/home")) == absolute


@pytest.mark.parametrize(
    "storage",
    ["", "a.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://u:canary@h/d", "env:", "sqlite:///\0"],
)
def test_a_storage_that_we_cannot_open_is_refused_without_being_shown(storage):
    with pytest.raises(ConfigError) as raised:
        check_storage(storage)
    assert "canary" not in str(raised.value)


def test_a_reference_is_looked_up_where_it_says(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("FRCNN_TEST_STORAGE", "postgresql+psycopg://u:p@h/e")
    assert read_storage(f"file:{secret}") == "postgresql://u:p@h/d"
    assert read_storage("env:FRCNN_TEST_STORAGE") == "postgresql+psycopg://u:p@h/e"
    assert read_storage("sqlite:////a.db") == "sqlite:////a.db"


def test_a_reference_that_leads_nowhere_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("FRCNN_TEST_STORAGE", raising=False)
    with pytest.raises(ConfigError, match="FRCNN_TEST_STORAGE, but it is not set"):
        read_storage("env:FRCNN_TEST_STORAGE")
    with pytest.raises(ConfigError, match="absent, but it cannot be read"):
        read_storage(f"file:{tmp_path}/absent")
    monkeypatch.setenv("FRCNN_TEST_STORAGE", "env:FRCNN_TEST_STORAGE")
    with pytest.raises(ConfigError, match="refers to another reference"):
        read_storage("env:FRCNN_TEST_STORAGE")
