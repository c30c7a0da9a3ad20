"""What is going on at the moment: lines at the foot of a terminal, and now and then a plain line in a log."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from search.terminal import PlainConsole

PLAIN_EVERY_S = 60.0  # a log of a night has a line a minute, not one a second


class Foot:
    """Lines that are rewritten in a terminal. Elsewhere (CI, Slurm) `log` prints them once a minute."""

    def __init__(self, console: PlainConsole, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._content: Callable[[], Sequence[str]] = tuple
        self._logged_s = clock()

    @property
    def live(self) -> bool:
        """Whether the lines are rewritten."""
        return self._console.is_terminal

    @contextmanager
    def shown(self) -> Iterator["Foot"]:
        """Show them in this block."""
        if not self.live:
            yield self
            return
        with Live(console=self._console, transient=True, refresh_per_second=2, get_renderable=self._rendered):
            yield self

    def show(self, content: Callable[[], Sequence[str]]) -> None:
        """Show what this returns in place of what was there, asked anew twice a second: time goes on.

        Each line is cut where the terminal ends.
        """
        self._content = content

    def _rendered(self) -> Text:
        return Text("\n".join(self._content()), no_wrap=True, overflow="ellipsis")

    def log(self, lines: Sequence[str]) -> None:
        """Print the lines where none is rewritten, unless some were a moment ago."""
        if not self.live and self._clock() - self._logged_s >= PLAIN_EVERY_S:
            self._logged_s = self._clock()
            for line in lines:
                self.tell(line)

    def tell(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(line), soft_wrap=True)
