"""Why a trial ended."""

from dataclasses import dataclass, field, replace

from trial.cause_words import RULE, cause_words
from trial.counts import check_counts
from trial.outcome import Outcome

DISK_FULL = "disk full"  # the cause of an interruption: nothing of the trial is at fault
WARNINGS = "warnings"  # evidence: what the watch said without ending the trial, `rule at step N: message`, one a line
HUNG = "hung"  # the cause of a trial whose trainer made no step


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a trial ended: the outcome, the term or rule behind it, where, and the figures that show it."""

    outcome: Outcome
    cause: str = ""  # the first loss term that went wrong, the rule that fired, the signal that killed
    message: str = ""  # one sentence for a person
    step: int = 0  # optimizer step
    images: int = 0  # images seen
    evidence: dict[str, float | str] = field(default_factory=dict)
    study_wide: bool = False  # every trial would end like this: somebody must act before another one is begun

    def __post_init__(self) -> None:
        check_counts(step=self.step, images=self.images)

    def after(self, earlier: "Verdict | None") -> "Verdict":
        """The same with the warnings of the trial's earlier stretches before its own, the first of each rule."""
        lines = [line for one in (earlier, self) if one for line in str(one.evidence.get(WARNINGS, "")).splitlines()]
        first: dict[str, str] = {}
        for line in lines:
            first.setdefault(line.partition(" at step ")[0], line)
        return replace(self, evidence={**self.evidence, WARNINGS: "\n".join(first.values())}) if first else self

    @property
    def words(self) -> str:
        """What went wrong, for a person; empty where there is no cause."""
        return cause_words(self.cause, str(self.evidence.get(RULE, "")))

    @property
    def sentence(self) -> str:
        """What went wrong and what was seen, for a person."""
        seen = self.message or self.cause
        return f"{self.words} – {seen}" if self.words not in ("", self.cause, seen) else seen
