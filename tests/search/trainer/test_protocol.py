import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Anchors, Augmentation, Canvas, Detector, Hyperparameters, Optimizer, Precision
from detector.data_source import DataFormat, DataSource
from detector.setup import Setup
from search.trainer.protocol import (
    Advance,
    Pause,
    Preparing,
    ProtocolError,
    Ready,
    Start,
    Started,
    decode,
    encode,
)
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport, Warned
from trial.verdict import Verdict

counts = st.integers(0, 2**31 - 1)
numbers = st.floats(allow_nan=False)  # infinities included; NaN is not equal to itself and has its own test
positive = st.floats(1e-6, 1e6)
figures = st.dictionaries(st.text(), numbers)
warned = st.lists(st.builds(Warned, rule=st.text(), step=counts, message=st.text())).map(tuple)
paths = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1).map(Path)
sizes = st.lists(st.tuples(positive, positive), min_size=5, max_size=5).map(tuple)
sources = st.builds(
    DataSource, format=st.sampled_from(DataFormat), images=paths, annotations=paths, split=st.none() | paths
)
detectors = st.builds(
    Detector,
    canvas=st.builds(Canvas, height_px=st.integers(1, 40).map(lambda n: 32 * n), width_px=st.just(64)),
    weights=st.text(),
    precision=st.sampled_from(Precision),
    frozen_stages=st.none() | st.integers(0, 5),
    micro_batch=st.none() | st.integers(1, 64),
)
hyperparameters = st.builds(
    Hyperparameters,
    anchors=st.builds(Anchors, sizes_px=sizes, ratios=st.lists(positive, min_size=1).map(tuple)),
    optimizer=st.sampled_from(Optimizer),
    lr_per_16=positive,
    augmentation=st.builds(Augmentation, scale=st.floats(0, 1), rotation_deg=st.floats(0, 45)),
    decay_boundaries=st.sampled_from([(), (0.5,), (2 / 3, 8 / 9)]),
    low_quality_matches=st.booleans(),
)
verdicts = st.builds(
    Verdict,
    outcome=st.sampled_from(Outcome),
    cause=st.text(),
    message=st.text(),
    step=counts,
    images=counts,
    evidence=st.dictionaries(st.text(), numbers | st.text()),
    study_wide=st.booleans(),
)
messages = st.one_of(
    st.builds(
        Setup,
        train=sources,
        validation=st.none() | sources,
        validation_share=st.floats(0, 1),
        detector=detectors,
        anchors_per_cell=counts,
        micro_batch=counts,
        validation_images=st.none() | counts,
        cache=paths,
        seed=counts,
    ),
    st.builds(Start, trial=counts, hyperparameters=hyperparameters, seed=counts, budget_images=counts, directory=paths),
    st.builds(Advance, to_images=counts),
    st.just(Pause()),
    st.builds(Preparing, stage=st.text(), done=counts, total=counts),
    st.builds(
        Ready,
        backend=st.text(),
        device=st.text(),
        versions=st.dictionaries(st.text(), st.text()),
        setup_s=numbers,
    ),
    st.builds(Started, images=counts),
    st.builds(ProgressReport, step=counts, images=counts, figures=figures, images_per_s=numbers, warnings=warned),
    st.builds(
        RungReport,
        step=counts,
        images=counts,
        ap=st.floats(0, 1),
        metrics=figures,
        training_s=numbers,
        evaluation_s=numbers,
    ),
    st.builds(PausedReport, images=counts),
    verdicts,
)


@given(messages)
def test_every_message_survives_its_line(message):
    line = encode(message)
    assert "\n" not in line
    assert decode(line) == message


def test_a_figure_that_is_not_a_number_stays_one():
    progress = ProgressReport(step=1, images=2, figures={"loss": math.nan, "norm": math.inf}, images_per_s=0.0)
    figures = decode(encode(progress)).figures
    assert math.isnan(figures["loss"])
    assert figures["norm"] == math.inf


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[]", "null", "Hello from a library", '{"type": "Nonsense"}', '{"type": "Advance"}', '{"type": ["a"]}'],
)
def test_what_is_no_message_is_refused_with_the_line(line):
    with pytest.raises(ProtocolError, match="not a message"):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('{"type": "Started", "images": ' + "[" * 20_000 + "]" * 20_000 + "}", id="nested too deep"),
        pytest.param('{"type": "Started", "images": ' + "9" * 5_000 + "}", id="thousands of digits"),
        pytest.param('{"type": "Started", "images": -1}', id="images below 0"),
        pytest.param('{"type": "PausedReport", "images": 1e30}', id="more images than there are"),
    ],
)
def test_what_no_trainer_can_have_said_is_no_message(line: str) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode(line)


@pytest.mark.parametrize(("ap", "valid"), [(0.0, True), (1.0, True), (math.nan, True), (1.01, False), (-0.01, False)])
def test_an_ap_lies_between_0_and_1_or_is_unknown(ap: float, valid: bool) -> None:
    line = json.dumps(
        {"type": "RungReport", "step": 1, "images": 1, "ap": ap, "metrics": {}, "training_s": 1, "evaluation_s": 1}
    )
    if valid:
        assert isinstance(decode(line), RungReport)
    else:
        with pytest.raises(ProtocolError):
            decode(line)
