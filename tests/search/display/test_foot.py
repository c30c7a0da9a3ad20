"""Lines at the foot of a terminal, and in a log."""

import io

from search.display.foot import PLAIN_EVERY_S, Foot
from search.terminal import PlainConsole


def test_a_log_gets_the_lines_once_a_minute_and_what_is_told_at_once():
    now, console = [0.0], PlainConsole(file=io.StringIO(), width=80)
    foot = Foot(console, clock=lambda: now[0])
    with foot.shown():
        foot.show(lambda: ["never in a log"])
        foot.log(["too early"])
        now[0] += PLAIN_EVERY_S
        foot.log(["first", "second"])
        foot.log(["too early again"])
        foot.tell("an end " * 20)
    assert console.file.getvalue().splitlines() == ["first", "second", "an end " * 20]


def test_a_terminal_shows_the_last_lines_cut_at_its_width():
    console = PlainConsole(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    foot = Foot(console)
    with foot.shown():
        foot.log(["never in a terminal"])
        foot.show(lambda: ["x" * 100, "short"])
    shown = console.file.getvalue()
    assert "never" not in shown
    assert "x" * 79 + "…" in shown
    assert "x" * 80 not in shown
    assert "short" in shown
