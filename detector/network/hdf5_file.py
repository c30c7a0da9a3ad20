"""Whether an HDF5 file can be read: tried in a process of its own, for a damaged one may keep HDF5 busy for ever,
or end whoever reads it."""

import subprocess
import sys
from pathlib import Path

from detector.config import ConfigError

MOST_S = 8  # of processor time; the weights of a ResNet-50 take less than one
MOST_BYTES = 2 << 30

_READ_ALL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
import h5py

def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        if item.nbytes > int(sys.argv[3]):
            sys.exit(f"{name} is said to have {item.nbytes} bytes")
        item[()]

with h5py.File(sys.argv[1], "r") as file:
    read("it", file)
    file.visititems(read)
"""


def check_hdf5(path: Path) -> None:
    """Return if all of the file can be read.

    Raises:
        ConfigError: it is no HDF5 file, or a damaged one.
    """
    command = [sys.executable, "-P", "-c", _READ_ALL, str(path), str(MOST_S), str(MOST_BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"HDF5 could not read it in {MOST_S} s"
        raise ConfigError(f"{path} does not hold weights: it is no HDF5 file, or damaged ({reason}); fetch it again")
