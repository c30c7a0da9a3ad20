"""One line about a trainer that gets ready: what it is busy with, and since when."""

from search.display.foot import Foot
from search.display.stages import Stages
from search.trainer.protocol import Preparing


class StageLine:
    """Shows stages at the foot of a terminal, its clock running; elsewhere a line for each that begins."""

    def __init__(self, foot: Foot, about: str) -> None:
        self._foot = foot
        self._about = about
        self._stages = Stages()

    def show(self, state: Preparing | None) -> None:
        """Take note of what the trainer is busy with; None says that it takes steps."""
        if state is None:
            return
        text = str(state)
        if self._stages.begins(self._about, text) and not self._foot.live:
            self._foot.tell(f"{self._about}: {state.stage}")
        self._foot.show(lambda: [f"{self._about}: {text} ({self._stages.elapsed(self._about)})"])
