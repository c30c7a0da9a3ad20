"""What a trainer and its worker say to each other, and what a worker keeps of it."""

from pathlib import Path

from detector.config import Hyperparameters
from detector.data_source import DataFormat, DataSource
from detector.setup import Setup
from search.trainer.protocol import Advance, Pause, Preparing, ProtocolError, Ready, Start, Started, decode, encode
from search.worker.outbox import Crashes, End, Evaluation, Figures, Outbox, read_entries
from tests.support.fuzz.target import DETECTOR, RUNG, VERDICT, Target, written
from trial.reports import PausedReport, ProgressReport, TelemetryPoint, Warned


def _protocol_seeds(_: Path) -> list[bytes]:
    folder = Path("/somewhere")
    source = DataSource(format=DataFormat.COCO, images=folder, annotations=folder / "a.json")
    setup = Setup(
        train=source, validation=None, validation_share=0.2, detector=DETECTOR, anchors_per_cell=3, micro_batch=2,
        validation_images=None, cache=folder, seed=1,
    )  # fmt: skip
    warned = (Warned(rule="slow", step=1, message="x"),)
    messages = [
        setup, Start(trial=1, hyperparameters=Hyperparameters(), seed=1, budget_images=320, directory=folder),
        Advance(to_images=80), Pause(), Preparing(stage="x", done=1, total=2), Started(images=0),
        PausedReport(images=16), Ready(backend="x", device="CPU", versions={"a": "1"}, setup_s=1.0), RUNG, VERDICT,
        ProgressReport(step=1, images=16, figures={"loss": float("nan")}, images_per_s=1.0, warnings=warned),
    ]  # fmt: skip
    return [encode(message).encode() for message in messages]


def _read_protocol(content: bytes, _: Path) -> None:
    decode(content.decode("utf-8", "replace"))


def _outbox_seeds(folder: Path) -> list[bytes]:
    box = Outbox(folder, 1)
    points = [TelemetryPoint(step=1, images=16, figures={"loss": 0.5})]
    for entry in (Figures(points=points), Evaluation(rung=160, record=RUNG), Crashes(count=1), End(verdict=VERDICT)):
        box.append(entry)
    return [(folder / "outbox-000001.jsonl").read_bytes()]


def _read_outbox(content: bytes, folder: Path) -> None:
    for entry in read_entries(written(folder / "outbox-000001.jsonl", content)):
        if isinstance(entry, Evaluation):
            assert entry.rung >= 0
            assert not entry.record.ap > 1


TARGETS = (
    Target(name="protocol", seeds=_protocol_seeds, read=_read_protocol, refusals=(ProtocolError,)),
    Target(name="outbox", seeds=_outbox_seeds, read=_read_outbox, refusals=()),
)
