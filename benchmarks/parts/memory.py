"""Memory of this process, in MiB, on the host and on the accelerator."""

import resource
import sys

import keras
import psutil  # type: ignore[import-untyped]

MIB = 2**20
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes that `ru_maxrss` counts in


def resident_mib() -> float:
    """What the process holds now."""
    return float(psutil.Process().memory_info().rss / MIB)


def peak_resident_mib() -> float:
    """The most that the process ever held.

    On Linux a process begins with its parent's peak, so start it from a small one.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT / MIB


def peak_device_mib() -> float | None:
    """The most that was allocated on the first accelerator; None where there is none."""
    if keras.backend.backend() == "jax":
        import jax

        figures = jax.devices()[0].memory_stats()
        return figures["peak_bytes_in_use"] / MIB if figures else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / MIB
