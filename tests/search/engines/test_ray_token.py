import stat
from pathlib import Path

import pytest

from detector.config import ConfigError
from search.engines.ray_token import require_token


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_cluster_of_our_own_gets_a_token_that_only_this_user_may_read(home, said):
    environment: dict[str, str] = {}
    require_token(environment, existing=False, say=said.append)
    file = home / ".ray" / "auth_token"
    assert environment == {"RAY_AUTH_MODE": "token"}
    assert len(file.read_text()) == 64  # 256 bits
    assert (mode_of(file), mode_of(file.parent)) == (0o600, 0o700)
    assert [child.name for child in file.parent.iterdir()] == ["auth_token"]
    assert said == [f"wrote {file}: the token of this user's Ray clusters"]


def test_a_token_that_is_there_stays(home, said):
    file = home / "elsewhere"
    file.write_text("theirs")
    file.chmod(0o600)
    for existing in (False, True):
        environment = {"RAY_AUTH_TOKEN_PATH": str(file)}
        require_token(environment, existing=existing, say=said.append)
        assert environment["RAY_AUTH_MODE"] == "token"
    assert file.read_text() == "theirs"
    assert said == []
    file.chmod(0o644)
    require_token({"RAY_AUTH_TOKEN_PATH": str(file)}, existing=True, say=said.append)
    assert said == [f"{file}: other users may read the token of your Ray clusters; chmod 600 {file}"]


def test_a_token_in_the_environment_needs_no_file(home, said):
    require_token({"RAY_AUTH_TOKEN": "theirs"}, existing=True, say=said.append)
    assert not (home / ".ray").exists()


def test_a_cluster_that_exists_needs_its_own_token(home, said):
    with pytest.raises(ConfigError, match=r"token must be in .*auth_token, .* but there is none"):
        require_token({}, existing=True, say=said.append)
    assert not (home / ".ray").exists()


def test_authentication_cannot_be_off_for_a_cluster_of_our_own(home, said):
    with pytest.raises(ConfigError, match="RAY_AUTH_MODE must be token for a cluster that we start, but is 'disabled'"):
        require_token({"RAY_AUTH_MODE": "disabled"}, existing=False, say=said.append)


@pytest.mark.parametrize(("mode", "lines"), [("disabled", 1), ("k8s", 0)])
def test_the_mode_of_another_s_cluster_is_its_owner_s_choice(home, said, mode, lines):
    environment = {"RAY_AUTH_MODE": mode}
    require_token(environment, existing=True, say=said.append)
    assert environment == {"RAY_AUTH_MODE": mode}
    assert len(said) == lines


def test_a_folder_that_cannot_be_written_is_said_plainly(home, said):
    (home / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the token can't be written"):
        require_token({"RAY_AUTH_TOKEN_PATH": str(home / "file" / "token")}, existing=False, say=said.append)
