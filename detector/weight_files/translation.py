"""Values by our names from values by another framework's, and back. Nothing is folded, so that both are exact."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from detector.config import ConfigError
from detector.geometry import Geometry
from detector.resnets import ResNetShape
from detector.weight_files import layouts
from detector.weight_files.dialects import NORM, Dialect
from detector.weight_files.found_weights import AnchorLayout
from detector.weight_files.norms import with_epsilon

THEIR_EPSILON = 1e-5  # torchvision's and Detectron2's
RPN_WIDTHS = {"rpn_logits": 1, "rpn_deltas": 4}  # rows an anchor

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Between our names and those of a dialect, for one detector."""

    dialect: Dialect
    shape: ResNetShape
    geometry: Geometry
    body: str  # what stands before the backbone's names

    def our_backbone(self, theirs: Values) -> dict[str, np.ndarray]:
        """All values of the backbone. Convolutions without a bias have zeros.

        Raises:
            ConfigError: one is missing.
        """
        values: dict[str, np.ndarray] = {}
        for convolution in self.shape.convolutions():
            layer, norm = (self.body + name for name in self.dialect.convolution(convolution))
            weight = _taken(theirs, f"{layer}.weight")
            values[f"{convolution.name}_conv/kernel"] = layouts.kernel(weight)
            bias = theirs.get(f"{layer}.bias", np.zeros(len(weight), np.float32))
            values[f"{convolution.name}_conv/bias"] = bias
            for ours, name in NORM.items():
                values[f"{convolution.name}_bn/{ours}"] = _taken(theirs, f"{norm}.{name}")
        return values

    def their_backbone(self, ours: Values) -> dict[str, np.ndarray]:
        """The inverse; a convolution's bias becomes part of the mean after it, another epsilon part of the variance."""
        values: dict[str, np.ndarray] = {}
        for convolution in self.shape.convolutions():
            layer, norm = (self.body + name for name in self.dialect.convolution(convolution))
            own = {name: ours[f"{convolution.name}_bn/{name}"] for name in NORM}
            own["moving_mean"] = own["moving_mean"] - ours[f"{convolution.name}_conv/bias"]
            own["gamma"], own["moving_variance"] = with_epsilon(
                own["gamma"], own["moving_variance"], epsilon=self.geometry.norm_epsilon, wanted=THEIR_EPSILON
            )
            values[f"{layer}.weight"] = layouts.their_kernel(ours[f"{convolution.name}_conv/kernel"])
            values |= {f"{norm}.{name}": own[mine] for mine, name in NORM.items()}
        return values

    def our_heads(self, theirs: Values, anchors: AnchorLayout | None) -> dict[str, np.ndarray]:
        """All values of pyramid and heads; the RPN's outputs only where it is known what their rows are.

        Raises:
            ConfigError: one is missing.
        """
        values: dict[str, np.ndarray] = {}
        for layer, name in self.dialect.layers.items():
            if anchors is None and layer in RPN_WIDTHS:
                continue
            rows, bias = (_taken(theirs, f"{name}.{part}") for part in ("weight", "bias"))
            rows, bias = (self._our_rows(layer, each, anchors) for each in (rows, bias))
            values[f"{layer}/kernel"] = layouts.flat_kernel(rows) if layer == "fc1" else layouts.kernel(rows)
            values[f"{layer}/bias"] = bias
        return values

    def their_heads(self, ours: Values, anchors: AnchorLayout) -> dict[str, np.ndarray]:
        """The inverse; slots of the RPN that no anchor uses are left out, and boxes of the background are zeros."""
        values: dict[str, np.ndarray] = {}
        for layer, name in self.dialect.layers.items():
            kernel, bias = ours[f"{layer}/kernel"], ours[f"{layer}/bias"]
            rows = layouts.their_flat_kernel(kernel) if layer == "fc1" else layouts.their_kernel(kernel)
            for part, each in (("weight", rows), ("bias", bias)):
                values[f"{name}.{part}"] = np.ascontiguousarray(self._their_rows(layer, each, anchors))
        return values

    def _our_rows(self, layer: str, rows: np.ndarray, anchors: AnchorLayout | None) -> np.ndarray:
        if layer == "class_logits" and self.dialect.background_first:
            rows = layouts.background_last(rows)
        if layer == "box_deltas" and self.dialect.background_first:
            rows = rows[4:]
        if anchors is not None and layer in RPN_WIDTHS and self.dialect.ratios_first:
            rows = layouts.sizes_first(rows, anchors, RPN_WIDTHS[layer])
        return layouts.sides(rows) if layer.endswith("_deltas") else rows

    def _their_rows(self, layer: str, rows: np.ndarray, anchors: AnchorLayout) -> np.ndarray:
        rows = layouts.sides(rows) if layer.endswith("_deltas") else rows
        if layer in RPN_WIDTHS:
            rows = rows[: anchors.per_cell * RPN_WIDTHS[layer]]
            return layouts.ratios_first(rows, anchors, RPN_WIDTHS[layer]) if self.dialect.ratios_first else rows
        if layer == "class_logits" and self.dialect.background_first:
            return layouts.background_first(rows)
        if layer == "box_deltas" and self.dialect.background_first:
            return np.concatenate([np.zeros_like(rows[:4]), rows])
        return rows

    def missing_heads(self, theirs: Values) -> Iterator[str]:
        """Names of pyramid and heads that are not there."""
        names = (f"{name}.{part}" for name in self.dialect.layers.values() for part in ("weight", "bias"))
        return (name for name in names if name not in theirs)


def _taken(theirs: Values, name: str) -> np.ndarray:
    value = theirs.get(name)
    if value is None:
        raise ConfigError(f"it lacks {name}")
    return value
