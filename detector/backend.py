"""The one place where TensorFlow and JAX differ: differentiating, compiling, and moving arrays.

Everything else in this room is written in `keras.ops`. The backend is Keras's own choice (`KERAS_BACKEND`).
"""

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from detector.boxes import Tensor

BACKEND: str = keras.backend.backend()


Tree = Any  # nested dicts and lists of tensors


class Compiled:
    """A function compiled once; `traces` counts how often Python ran it, which is how often it was compiled."""

    def __init__(self, function: Callable[..., Tree], *, donate_first: bool = False) -> None:
        self.traces = 0

        def counted(*arguments: Tree) -> Tree:
            self.traces += 1
            return function(*arguments)

        self._call = _jit(counted, donate_first)

    def __call__(self, *arguments: Tree) -> Tree:
        return self._call(*arguments)


if BACKEND == "tensorflow":
    import tensorflow as tf

    def _jit(function: Callable[..., Tree], donate_first: bool) -> Callable[..., Tree]:
        # A graph without XLA was the fastest on CPU (docs/decisions/0004).
        return tf.function(function, autograph=False, reduce_retracing=False)

    def value_and_gradients(
        function: Callable[[Sequence[Tensor]], tuple[Tensor, Tree]], values: Sequence[Tensor]
    ) -> tuple[Tensor, Tree, list[Tensor]]:
        """Loss, auxiliary results and gradients of `function(values) -> (loss, auxiliary)`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, auxiliary = function(values)
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, auxiliary, gradients

    def fused(function: Callable[..., Tree]) -> Callable[..., Tree]:
        """`function` as one kernel: worth it where memory traffic dominates, as in the optimizer's update."""
        return tf.function(function, autograph=False, jit_compile=True)

    def square_sum(tensor: Tensor) -> Tensor:
        """Sum of squares in one pass: three times as fast as a square and a sum (docs/decisions/0011)."""
        return 2.0 * tf.nn.l2_loss(tensor)

    def to_device(array: Any) -> Tensor:
        """The array as a tensor, its dtype kept."""
        return tf.convert_to_tensor(np.asarray(array))

    def device_name() -> str:
        """The accelerator's name, or `CPU`."""
        devices = tf.config.list_physical_devices("GPU")
        if not devices:
            return "CPU"
        return str(tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU"))

    def own(tensor: Tensor) -> Tensor:
        """A tensor that a compiled function may take as its donated argument: itself, because nothing is donated."""
        return tensor

    def ran_out_of_memory(error: Exception) -> bool:
        """Whether the device had no room."""
        return isinstance(error, tf.errors.ResourceExhaustedError)

    def prepare_device(cache: Path) -> None:
        """Take GPU memory as it is needed, so that several workers can share a device; start quickly on CPU.

        Nothing is kept in `cache`: graphs have no persistent compilation cache.
        """
        devices = tf.config.list_physical_devices("GPU")
        for device in devices:
            tf.config.experimental.set_memory_growth(device, True)
        # A quarter of the first step's time on CPU, and no gain after it (docs/decisions/0012). On a GPU it lays out.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not devices})

    def give_memory_back() -> None:
        """Nothing: what was freed is used again, and stays the same from trial to trial."""

elif BACKEND == "jax":
    import jax

    def _jit(function: Callable[..., Tree], donate_first: bool) -> Callable[..., Tree]:
        return jax.jit(function, donate_argnums=(0,) if donate_first else ())

    def value_and_gradients(
        function: Callable[[Sequence[Tensor]], tuple[Tensor, Tree]], values: Sequence[Tensor]
    ) -> tuple[Tensor, Tree, list[Tensor]]:
        """Loss, auxiliary results and gradients of `function(values) -> (loss, auxiliary)`."""
        (loss, auxiliary), gradients = jax.value_and_grad(function, has_aux=True)(values)
        return loss, auxiliary, gradients

    def fused(function: Callable[..., Tree]) -> Callable[..., Tree]:
        """Unchanged: the surrounding step is already one executable."""
        return function

    def square_sum(tensor: Tensor) -> Tensor:
        """Sum of squares."""
        return jax.numpy.vdot(tensor, tensor)

    def to_device(array: Any) -> Tensor:
        """The array as a tensor of its own, its dtype kept and never weakly typed (a weak type compiles again)."""
        return jax.numpy.array(np.asarray(array))

    def device_name() -> str:
        """The accelerator's name, or `CPU`."""
        device = jax.devices()[0]
        return "CPU" if device.platform == "cpu" else str(device.device_kind)

    def own(tensor: Tensor) -> Tensor:
        """A tensor that a compiled function may take as its donated argument, which ends it: a copy."""
        return jax.numpy.copy(tensor)

    def ran_out_of_memory(error: Exception) -> bool:
        """Whether the device had no room."""
        return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)

    def prepare_device(cache: Path) -> None:
        """Keep what was compiled in a folder of `cache`, so that the next process on this host need not compile it.

        The small operations that build and reset the network, too: there are 170, and they take as long as the step.

        Memory of a GPU is up to XLA_PYTHON_CLIENT_PREALLOCATE, set by the process that starts us.
        """
        jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))  # type: ignore[no-untyped-call]
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # type: ignore[no-untyped-call]

    def give_memory_back() -> None:
        """Let the system have what was freed: on CPU it is up to a third of the process, and scattered."""
        if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc's
            libc.malloc_trim(0)

else:
    raise ImportError(f"KERAS_BACKEND must be tensorflow or jax, but is {BACKEND}")


def to_host(tensor: Tensor) -> np.ndarray:
    """The tensor's values; waits for the device."""
    return np.asarray(tensor)


def on_device(arrays: dict[str, Any]) -> dict[str, Tensor]:
    """The arrays as tensors, by the same names."""
    return {name: to_device(array) for name, array in arrays.items()}
