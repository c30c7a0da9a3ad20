"""What a search has read so far, and which configuration it would export at each moment."""

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Track:
    """Readings in the order of time. Exported is the best AP at the highest count of images that any was read at."""

    moments_s: list[float] = field(default_factory=list)
    exported: list[int] = field(default_factory=list)  # configuration, from that moment on
    _best: tuple[int, float] = (-1, -1.0)  # images, AP

    def read(self, at_s: float, configuration: int, images: int, ap: float) -> None:
        """Take in a reading."""
        if (images, ap) > self._best:
            self._best = images, ap
            self.moments_s.append(at_s)
            self.exported.append(configuration)

    def at(self, moment_s: float) -> int | None:
        """What would be exported then; None before the first reading."""
        place = bisect_right(self.moments_s, moment_s)
        return self.exported[place - 1] if place else None
