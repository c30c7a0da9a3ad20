"""One trial in a process of its own: the question as JSON in the only argument, the answer on standard output."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.parts.session import Session, random_configurations, sample_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which trial, of the random configurations; all processes that are told the same folder share its cache."""

    folder: str
    canvas: str
    images: int
    validation_images: int
    number: int = 0
    optimize_graph: bool = False  # TensorFlow's graph optimizer, which is off on CPU (docs/decisions/0012)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Seconds until the process had its imports, of parts of its start, and until its first training step was done."""

    imports_s: float
    setup_s: float
    first_step_s: float
    until_first_step_done_s: float
    backend: str
    device: str


def ask(question: Question) -> Answer:
    """Train that trial in a new process, to its end.

    Raises:
        subprocess.CalledProcessError: it failed; it said why on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.parts.fresh_cell", json.dumps(asdict(question))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Answer(**json.loads(done.stdout.splitlines()[-1]))


def answer(question: Question) -> Answer:
    """Train that trial here."""
    imports_s = _age_s()
    plan = sample_plan(
        Path(question.folder),
        canvas=question.canvas,
        images=question.images,
        validation_images=question.validation_images,
    )
    session = Session(plan)
    if question.optimize_graph:
        import tensorflow

        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    configuration = random_configurations(plan.space, question.number + 1)[question.number]
    begun_s = _age_s()
    trial = session.run(configuration, (question.images,))
    return Answer(
        imports_s=imports_s,
        setup_s=session.setup_s,
        first_step_s=trial.first_step_s,
        until_first_step_done_s=begun_s + trial.until_first_step_done_s,
        backend=session.trainer.backend,
        device=session.trainer.device,
    )


def _age_s() -> float:
    return time.time() - float(psutil.Process().create_time())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(answer(Question(**json.loads(sys.argv[1]))))) + "\n")
