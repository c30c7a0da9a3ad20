"""The space of Faster R-CNN configurations: every point of it is a valid `Hyperparameters`.

Anchors are a few ordered numbers, never lists: `n` sizes base · 2^(span · i / n), in strides, and `m` ratios
centre · spread^(2j / (m - 1) - 1). Decay boundaries are shares of what remains, so that they are ordered by
construction. Parameters that would have no effect (the span of a single scale, SGD's learning rate under Adam) are
not suggested.
"""

import math
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from detector.config import STRIDES_PX, Anchors, Augmentation, ConfigError, Hyperparameters, Optimizer, require
from spaces.catalogue import AUGMENTATION_PREFIX, DEFINITIONS, MATCHING, RATES
from spaces.parameters import Fixed, Float, Parameter, Suggest, Value, nearest, suggest, values_of

ANCHOR_PARAMETERS = tuple(name for name in DEFINITIONS if name.startswith("anchor_"))

_OWN_AUGMENTATIONS = tuple(name for name in DEFINITIONS if name.startswith(AUGMENTATION_PREFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What each hyperparameter may be. With explicit `anchors`, no anchor parameter remains."""

    parameters: Mapping[str, Parameter]
    anchors: Anchors | None = None

    def __post_init__(self) -> None:
        for name in self.parameters:
            require(name in DEFINITIONS, f"there is no parameter {name!r}; known are {', '.join(DEFINITIONS)}")
        for name, definition in DEFINITIONS.items():
            replaced = self.anchors is not None and name in ANCHOR_PARAMETERS
            require(not (replaced and name in self.parameters), f"explicit anchors replace {name}; give one of them")
            needed = not (definition.optional or replaced)
            require(name in self.parameters or not needed, f"parameter {name} is missing from the space")

    @classmethod
    def default(cls) -> "Space":
        """The ranges of the catalogue."""
        return cls(parameters={name: d.default for name, d in DEFINITIONS.items() if not d.optional})

    def replaced(self, parameters: Mapping[str, Parameter], anchors: Anchors | None = None) -> "Space":
        """This space with other ranges; explicit anchors displace the anchor parameters."""
        merged = {**self.parameters, **parameters}
        if anchors is not None:
            merged = {name: p for name, p in merged.items() if name not in ANCHOR_PARAMETERS or name in parameters}
        ordered = {name: merged[name] for name in DEFINITIONS if name in merged}
        return replace(self, parameters=ordered, anchors=anchors or self.anchors)

    def fixed(self) -> dict[str, Value]:
        """The values of the parameters that no trial proposes."""
        return {name: one.value for name, one in self.parameters.items() if isinstance(one, Fixed)}

    def suggest(self, trial: Suggest) -> dict[str, Value]:
        """What the trial proposes for each parameter that is active and not fixed, as Optuna's `trial.params`."""
        values: dict[str, Value] = {}
        for name, parameter in self._active(values):
            if not isinstance(parameter, Fixed):
                values[name] = suggest(parameter, name, trial)
        return values

    def configuration(self, values: Mapping[str, Value]) -> Hyperparameters:
        """The detector configuration of one point of the space.

        Values of fixed parameters may be left out; those of inactive ones are ignored.

        Raises:
            ConfigError: a value is missing, unknown or outside of the space.
        """
        for name in values:
            require(name in self.parameters, f"{name} is no parameter of this space")
        point: dict[str, Value] = {}
        for name, parameter in self._active(point):
            if isinstance(parameter, Fixed):
                point[name] = values.get(name, parameter.value)
            else:
                require(name in values, f"the value of {name} is missing")
                point[name] = values[name]
            self.require_inside({name: point[name]})
        return _hyperparameters(point, self.anchors)

    def require_inside(self, values: Mapping[str, Value]) -> None:
        """Raise a `ConfigError` where the value of one of this space's parameters isn't in its range."""
        for name, value in values.items():
            if name in self.parameters:
                parameter = self.parameters[name]
                require(parameter.contains(value), f"{name} must be in {parameter}, but is {value!r}")

    def nearest(self, wanted: Mapping[str, Value]) -> dict[str, Value]:
        """The point nearest to the values wanted, in the form that `suggest` returns; Detectron2's where none is."""
        point: dict[str, Value] = {}
        for name, parameter in self._active(point):
            point[name] = nearest(parameter, wanted.get(name, DEFINITIONS[name].reference))
        return {name: value for name, value in point.items() if not isinstance(self.parameters[name], Fixed)}

    def reference(self) -> dict[str, Value]:
        """Detectron2's defaults, as trial 0 tries them, or the nearest values that the space has."""
        return self.nearest({})

    def reference_moves(self) -> dict[str, tuple[Value, Value]]:
        """Where the study's ranges keep `reference` from Detectron2's defaults: both values by name."""
        point = self.reference() | self.fixed()
        moves = {
            name: (DEFINITIONS[name].reference, value)
            for name, value in point.items()
            if value != DEFINITIONS[name].reference
        }
        own = {"anchors": (str(Anchors()), str(self.anchors))} if self.anchors not in (None, Anchors()) else {}
        return moves | own

    def anchors_per_cell(self) -> int:
        """The most anchors at one cell that any point of the space has: the slots that the step needs."""
        if self.anchors is not None:
            return self.anchors.per_cell
        return max(self.whole_values("anchor_scales")) * max(self.whole_values("anchor_ratios"))

    def batch_sizes(self) -> tuple[int, ...]:
        """Every batch size of the space, ascending."""
        return tuple(sorted(self.whole_values("batch_size")))

    def micro_batch(self, limit: int = 8, *, further: tuple[int, ...] = ()) -> int:
        """The greatest number of images, at most `limit`, that divides every batch size, `further` ones too."""
        divisor = math.gcd(*self.batch_sizes(), *further)
        return max(n for n in range(1, limit + 1) if divisor % n == 0)

    def whole_values(self, name: str) -> tuple[int, ...]:
        """Every value of a parameter that counts something.

        Raises:
            ConfigError: it is a range of real numbers.
        """
        parameter = self.parameters[name]
        if isinstance(parameter, Float):
            raise ConfigError(f"{name} must be whole numbers, but is {parameter}")
        return tuple(int(value) for value in values_of(parameter))

    def _active(self, values: dict[str, Value]) -> Iterator[tuple[str, Parameter]]:
        """Parameters that exist at the values the caller fills in while it goes on; parents come first."""
        known = ChainMap(values, self.fixed())
        for name, definition in DEFINITIONS.items():
            if name in self.parameters and definition.exists_at(known):
                yield name, self.parameters[name]


def anchor_sizes_px(base: float, scales: int, octave_span: float) -> tuple[tuple[float, ...], ...]:
    """Anchor sizes [level][scale] in pixels: base · stride · 2^(span · i / scales)."""
    return tuple(tuple(base * stride * 2 ** (octave_span * i / scales) for i in range(scales)) for stride in STRIDES_PX)


def anchor_ratios(centre: float, spread: float, count: int) -> tuple[float, ...]:
    """Ratios (height / width) from centre / spread to centre · spread, evenly in their logarithm; one is the centre."""
    if count == 1:
        return (centre,)
    return tuple(centre * spread ** (2 * j / (count - 1) - 1) for j in range(count))


def anchors_of(point: Mapping[str, Value]) -> Anchors:
    """The anchors of a point of the space; parameters that are inactive at it may be absent."""
    scales, ratios = int(point["anchor_scales"]), int(point["anchor_ratios"])
    return Anchors(
        sizes_px=anchor_sizes_px(float(point["anchor_base"]), scales, float(point.get("anchor_octave_span", 0))),
        ratios=anchor_ratios(float(point["anchor_ratio_centre"]), float(point.get("anchor_ratio_spread", 1)), ratios),
    )


def decay_boundaries(warmup_fraction: float, decays: int, first: float, gap: float) -> tuple[float, ...]:
    """Fractions of the budget, ascending, between warm-up and the end.

    The first lies at the share `first` of what warm-up leaves, each next one at the share `gap` of what then remains:
    warm-up 0.011, first 0.663 and gap 2/3 give Detectron2's 2/3 and 8/9.
    """
    boundaries = []
    reached, share = warmup_fraction, first
    for _ in range(decays):
        reached += share * (1 - reached)
        boundaries.append(reached)
        share = gap
    return tuple(boundaries)


def _hyperparameters(point: Mapping[str, Value], anchors: Anchors | None) -> Hyperparameters:
    optimizer = Optimizer(str(point["optimizer"]))
    same = ("rpn_lr_factor", "momentum", "weight_decay", "warmup_fraction", "clip_norm")
    numbers = {name: float(point[name]) for name in (*same, *MATCHING) if name in point}
    return Hyperparameters(
        anchors=anchors or anchors_of(point),
        optimizer=optimizer,
        lr_per_16=float(point[RATES[optimizer]]),
        decay_boundaries=decay_boundaries(
            float(point["warmup_fraction"]),
            int(point["decays"]),
            first=float(point.get("decay_first", 0)),
            gap=float(point.get("decay_gap", 0)),
        ),
        decay_factor=float(point.get("decay_factor", DEFINITIONS["decay_factor"].reference)),
        batch_size=int(point["batch_size"]),
        augmentation=_augmentation(point),
        **numbers,  # type: ignore[arg-type]  # every name in it is a number of Hyperparameters
    )


def _augmentation(point: Mapping[str, Value]) -> Augmentation:
    own = {name.removeprefix(AUGMENTATION_PREFIX): float(point[name]) for name in _OWN_AUGMENTATIONS if name in point}
    return Augmentation.of_strength(float(point["augmentation"]), **own)
