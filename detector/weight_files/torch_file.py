"""Files of PyTorch (.pth, .pt), read and written by PyTorch itself, which is an extra: they are pickles."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from detector.config import ConfigError


def read_torch(path: Path) -> Any:
    """What the file holds, with arrays in place of tensors, three containers deep. PyTorch runs nothing in it.

    Raises:
        ConfigError: PyTorch is not installed, or it refuses the file.
    """
    torch = _torch(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive makes it raise whatever it stumbles over
        reason = str(error).strip().splitlines()
        raise ConfigError(
            f"{path} is not a file of weights that PyTorch reads without running it: "
            f"{reason[0] if reason else type(error).__name__}"
        ) from error
    return _arrays(loaded, torch.Tensor)


def write_torch(path: Path, values: Mapping[str, np.ndarray]) -> None:
    """Write a state dict.

    Raises:
        ConfigError: PyTorch is not installed.
        OSError, RuntimeError: it cannot be written.
    """
    torch = _torch(path)
    torch.save({name: torch.from_numpy(np.array(value)) for name, value in values.items()}, path)


def _torch(path: Path) -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ConfigError(
            f"{path} is a file of PyTorch, which needs the extra `torch`: install frcnn-search[torch]; "
            "or use .safetensors"
        ) from error


def _arrays(value: Any, tensor: type, depth: int = 3) -> Any:
    if isinstance(value, tensor):
        return value.detach().to("cpu").float().numpy()  # type: ignore[attr-defined]
    if isinstance(value, Mapping) and depth:
        return {key: _arrays(each, tensor, depth - 1) for key, each in value.items()}
    return value
