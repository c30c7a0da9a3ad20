"""The token without which nobody may use a Ray cluster, which otherwise runs code for whoever reaches it.

Ray looks for it in RAY_AUTH_TOKEN, then in the file RAY_AUTH_TOKEN_PATH, then in ~/.ray/auth_token; so do we. All of
this must be settled before Ray is imported.
"""

import os
import secrets
import stat
from collections.abc import Callable, MutableMapping
from pathlib import Path

from detector.config import ConfigError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def require_token(environment: MutableMapping[str, str], *, existing: bool, say: Callable[[str], None]) -> None:
    """Turn Ray's token authentication on, for this process and those it starts. `existing`: the cluster is another's.

    A new cluster gets a token of its own where there is none yet, in a file that only this user may read.

    Raises:
        ConfigError: there is no token for the cluster that exists, or the user has turned authentication off.
    """
    mode = environment.get(MODE) or "token"
    if mode != "token":
        _accept_mode(mode, existing=existing, say=say)
        return
    environment[MODE] = mode
    if environment.get(TOKEN):
        return
    file = Path(environment.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    if file.exists():
        _warn_of_readers(file, say)
        return
    if existing:
        raise ConfigError(
            f"the cluster's token must be in {file}, or where the variable {TOKEN_PATH} says, but there is none. Copy "
            "it from the machine that started the cluster (`ray get-auth-token` shows it), with mode 600"
        )
    write_token(file)
    say(f"wrote {file}: the token of this user's Ray clusters")


def write_token(file: Path) -> None:
    """Write a new token, with mode 600; a token that is there, or comes in between, stays.

    Raises:
        ConfigError: the file cannot be written.
    """
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as writer:
            writer.write(secrets.token_hex(32))
        try:
            os.link(draft, file)  # complete or not at all, and never over another's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigError(
            f"{file}: the token can't be written ({error.strerror}); name another: {TOKEN_PATH}"
        ) from None


def _accept_mode(mode: str, *, existing: bool, say: Callable[[str], None]) -> None:
    if not existing:
        raise ConfigError(
            f"{MODE} must be token for a cluster that we start, but is {mode!r}; unset it, or name a cluster of your "
            "own with --ray-address"
        )
    if mode == "disabled":
        say(f"{MODE} is disabled: whoever reaches this cluster can run code on it as you")


def _warn_of_readers(file: Path, say: Callable[[str], None]) -> None:
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        say(f"{file}: other users may read the token of your Ray clusters; chmod 600 {file}")
