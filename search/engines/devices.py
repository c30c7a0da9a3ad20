"""The GPUs of this machine, found without loading a framework, and their division among workers.

Variables that a user has set himself stay as they are.
"""

import math
import os
import re
import subprocess
from collections.abc import Mapping

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ASK_LIMIT_S = 20.0  # a driver that is just being loaded takes its time
_USABLE_SHARE = 0.9  # the rest is for the contexts and libraries of every process
_GPU = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[^)]+)\)")
_SLICE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")


def visible_devices(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs that a process with this environment may use, as `CUDA_VISIBLE_DEVICES` names them; often none.

    What nvidia-smi lists goes by UUID, since its numbers are not CUDA's. A GPU in slices (MIG) counts as its slices.
    """
    chosen = environment.get(VISIBLE)
    if chosen is None:
        return _listed(environment)
    devices: list[str] = []
    for name in map(str.strip, chosen.split(",")):
        if not name or name.startswith("-"):  # CUDA ignores what follows
            break
        devices.append(name)
    return tuple(devices)


def _listed(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], env=dict(environment), capture_output=True, text=True, timeout=_ASK_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_list(done.stdout) if done.returncode == 0 else ()


def parse_list(text: str) -> tuple[str, ...]:
    """The devices in the output of `nvidia-smi -L`."""
    devices: list[str] = []
    whole = False  # whether the last one is a GPU of which no slice has been seen
    for line in text.splitlines():
        if found := _GPU.match(line):
            devices.append(found[1])
            whole = True
        elif found := _SLICE.match(line):
            if whole:
                devices.pop()
            devices.append(found[1])
            whole = False
    return tuple(devices)


def variables_of_worker(devices: tuple[str, ...], *, number: int, workers: int) -> dict[str, str]:
    """What the environment of a worker gets, by its number from 1 on: one device, in turn, and its share of it."""
    if not devices:
        return {}
    place = (number - 1) % len(devices)
    sharing = len(range(place, workers, len(devices)))
    return {VISIBLE: devices[place], **memory_variables(1 / sharing)}


def memory_variables(share: float) -> dict[str, str]:
    """What keeps a trainer to a share of its device's memory, in (0, 1].

    Both backends then take memory as they need it. Only JAX has a limit too; TensorFlow knows none by environment.
    """
    return {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{math.floor(1000 * _USABLE_SHARE * share) / 1000:.3f}",
    }


def with_device(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment with these variables, of which only the choice of the device stands over the user's own."""
    return {**variables, **environment, **{name: variables[name] for name in (VISIBLE,) if name in variables}}
