from pathlib import Path

import pytest

from detector.config import ConfigError
from search.study.storage_url import absolute_storage, check_storage


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
