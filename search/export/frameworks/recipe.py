"""What every framework is told of a training, computed once: counts, schedule, pixels, data.

Sizes are in canvas pixels, ratios are height / width, iterations are counted from 0.
"""

import itertools
from dataclasses import dataclass

from detector.config import STRIDES_PX, Hyperparameters, StepShape
from detector.geometry import KERAS, Geometry, StridePlace
from detector.resnets import RESNETS, ResNetShape
from detector.schedule import learning_rate, optimizer_steps
from search.export.configuration_file import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFiles:
    """Where one split lies, relative to the folder of the export, with `/` between names."""

    annotations: str  # COCO JSON
    images: str  # the folder that its file names are relative to
    count: int  # images
    turned: int  # of them, those that are upright on a canvas that lies, or lie on one that stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One configuration, and the training of it by somebody else's code."""

    configuration: Configuration
    images: int  # the whole training, of which the schedule's numbers are fractions
    train: SplitFiles
    validation: SplitFiles
    geometry: Geometry = KERAS  # what the backbone's weights mean

    @property
    def hyperparameters(self) -> Hyperparameters:
        return self.configuration.hyperparameters

    @property
    def batch_size(self) -> int:
        return self.hyperparameters.batch_size

    @property
    def resnet(self) -> ResNetShape:
        """The backbone's."""
        return RESNETS[self.configuration.detector.backbone]

    @property
    def stride_in_1x1(self) -> bool:
        """Whether a block of the backbone halves its map in its 1 × 1 convolution; a basic block has none."""
        return self.resnet.bottleneck and self.geometry.stride_place is StridePlace.FIRST

    @property
    def micro_batch(self) -> int:
        """Images at once on one device."""
        return self.configuration.detector.micro_batch or self.batch_size

    @property
    def counts(self) -> StepShape:
        """How many anchors, proposals, RoIs and detections there are, which hang on the canvas."""
        return StepShape.for_detector(
            self.configuration.detector,
            anchors_per_cell=self.hyperparameters.anchors.per_cell,
            boxes_per_image=1,
            classes=len(self.configuration.classes),
            micro_batch=self.micro_batch,
        )

    @property
    def iterations(self) -> int:
        """Batches of the whole training."""
        return optimizer_steps(self.images, self.batch_size)

    @property
    def milestones(self) -> tuple[int, ...]:
        """The first iteration of each lower rate, by the trainer's own comparison; without those that come too late."""
        first = (self._first_from(boundary) for boundary in self.hyperparameters.decay_boundaries)
        return tuple(each for each in first if each < self.iterations)

    def _first_from(self, boundary: float) -> int:
        near = max(0, int(boundary * self.images / self.batch_size) - 1)
        return next(i for i in itertools.count(near) if i * self.batch_size / self.images >= boundary)

    @property
    def rate_steps(self) -> tuple[tuple[int, float], ...]:
        """Iterations from which on the rate, as a share of the peak, is another: the last where several fall on one."""
        factor = self.hyperparameters.decay_factor
        return tuple({first: factor**passed for passed, first in enumerate(self.milestones, start=1)}.items())

    @property
    def warmup_iterations(self) -> float:
        """Length of the warm-up, a real number."""
        return self.hyperparameters.warmup_fraction * self.images / self.batch_size

    @property
    def whole_warmup_iterations(self) -> int:
        """The same where only a whole number can be said; at least 1 where there is any, which is exact up to 1.

        It ends before the first milestone: some frameworks take the peak from where the warm-up ends.
        """
        whole = max(1, round(self.warmup_iterations)) if self.warmup_iterations > 0 else 0
        return min(whole, *(first - 1 for first in self.milestones[:1]), self.iterations)

    @property
    def warmup_error(self) -> float:
        """By how much of the peak the rate is off at most, while it warms up over a whole number of iterations."""
        real, whole = self.warmup_iterations, self.whole_warmup_iterations
        rise = 1 - self.hyperparameters.warmup_factor
        return (
            max((rise * abs(min(1, i / real) - min(1, i / whole)) for i in range(whole + 2)), default=0) if real else 0
        )

    def rate(self, iteration: int) -> float:
        """The trainer's own learning rate of an iteration."""
        return learning_rate(self.hyperparameters, iteration * self.batch_size, self.images)

    @property
    def cell_sides_px(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Height and width of each anchor of a cell, for each level; sizes vary slowest."""
        anchors = self.hyperparameters.anchors
        return tuple(
            tuple((size * ratio**0.5, size / ratio**0.5) for size in sizes for ratio in anchors.ratios)
            for sizes in anchors.sizes_px
        )

    @property
    def sizes_in_strides(self) -> tuple[tuple[float, ...], ...]:
        """Anchor sizes of each level in its strides."""
        levels = zip(self.hyperparameters.anchors.sizes_px, STRIDES_PX, strict=True)
        return tuple(tuple(size / stride for size in sizes) for sizes, stride in levels)

    @property
    def short_side_px(self) -> int:
        canvas = self.configuration.detector.canvas
        return min(canvas.height_px, canvas.width_px)

    @property
    def long_side_px(self) -> int:
        canvas = self.configuration.detector.canvas
        return max(canvas.height_px, canvas.width_px)
