"""SGD and Adam against their definitions, by hand and against PyTorch's rules written out slowly."""

import numpy as np
import pytest

from detector.backend import to_device, to_host
from detector.training import optimizer


def run(steps: int, *, adam: bool, gradient: float, **settings: float) -> float:
    """One weight that starts at 1 and sees the same gradient at every step."""
    slots = {name: [to_device(np.float32([value]))] for name, value in (("weights", 1), ("velocity", 0), ("second", 0))}
    for step in range(steps):
        inputs = {
            "momentum": to_device(np.float32(settings["momentum"])),
            "weight_decay": to_device(np.float32(settings["weight_decay"])),
            "update": to_device(np.float32(step + 1)),
            "adam": to_device(np.bool_(adam)),
        }
        rates = [to_device(np.float32(settings["lr"]))]
        gradients = [to_device(np.float32([gradient]))]
        slots, _ = optimizer.update(slots, gradients, rates, to_device(np.float32(1)), inputs)
    return float(to_host(slots["weights"][0])[0])


@pytest.mark.parametrize(
    ("steps", "settings", "expected"),
    [
        pytest.param(1, {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}, 1 - 0.1 * 2, id="plain"),
        pytest.param(2, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.0}, 1 - 0.1 * 2 - 0.1 * (2 + 0.5 * 2), id="µ"),
        # g = 2 + 0.1·1 = 2.1
        pytest.param(
            1, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, 1 - 0.1 * 2.1, id="decay joins the gradient"
        ),
    ],
)
def test_sgd_moves_as_pytorch_defines_it(steps: int, settings: dict[str, float], expected: float) -> None:
    assert run(steps, adam=False, gradient=2.0, **settings) == pytest.approx(expected, rel=1e-6)


def test_the_learning_rate_is_not_part_of_the_velocity() -> None:
    # v1 = 2, v2 = 0.5·2 + 2 = 3; had v held lr·g, the second step would not be lr2·3.
    slots = {name: [to_device(np.float32([value]))] for name, value in (("weights", 1), ("velocity", 0), ("second", 0))}
    for step, rate in enumerate((0.1, 0.01)):
        inputs = {
            "momentum": to_device(np.float32(0.5)),
            "weight_decay": to_device(np.float32(0)),
            "update": to_device(np.float32(step + 1)),
            "adam": to_device(np.bool_(False)),
        }
        gradient, scale = [to_device(np.float32([2.0]))], to_device(np.float32(1))
        slots, _ = optimizer.update(slots, gradient, [to_device(np.float32(rate))], scale, inputs)
    assert float(to_host(slots["weights"][0])[0]) == pytest.approx(1 - 0.1 * 2 - 0.01 * 3, rel=1e-6)


def test_adam_moves_by_the_learning_rate_at_a_constant_gradient() -> None:
    # m̂ = g and ŝ = g² at every step, so the change is lr·g / |g|.
    moved = run(5, adam=True, gradient=3.0, lr=0.01, momentum=0.9, weight_decay=0.0)
    assert moved == pytest.approx(1 - 5 * 0.01, rel=1e-4)
