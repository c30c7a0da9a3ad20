"""What the doctor proposes is put into study files of every style, and not a character more of them changes."""

import os
from dataclasses import replace

import pytest

from detector.config import ConfigError
from search.study.space_writing import write_space
from search.study.study_file import Options, default_study_text, load_study_file
from spaces.parameters import Categorical, Float

PROPOSED = {"momentum": Float(low=0.8, high=0.9), "batch_size": Categorical(values=(4, 8))}
MOMENTUM = "momentum: {low: 0.8, high: 0.9, log: false}"
NEW_MOMENTUM = f"{MOMENTUM}  # of SGD; for Adam, beta 1"
NEW_BATCH = "batch_size: [4, 8]  # images for each update"


@pytest.fixture
def write(tmp_path):
    """Writes the proposal and the counts into a study file with that text, and says what it then holds."""

    def go(text, **counts):
        path = tmp_path / "study.yaml"
        path.write_bytes(text.encode())
        before = load_study_file(path)
        write_space(path, PROPOSED, counts)
        after = load_study_file(path)
        assert after == replace(
            before, space=before.space.replaced(PROPOSED), detector=replace(before.detector, **counts)
        )
        assert os.listdir(tmp_path) == ["study.yaml"]
        return path.read_bytes().decode()

    return go


STYLES = [
    pytest.param("data: {folder: a}\n", f"data: {{folder: a}}\n\nspace:\n  {NEW_MOMENTUM}\n  {NEW_BATCH}\n", id="none"),
    pytest.param(
        "space:  # mine\n  # weight_decay: 0\n\nbudget:\n  # trials: 9\ndata: {folder: a}",
        f"space:  # mine\n  {NEW_MOMENTUM}\n  {NEW_BATCH}\n  # weight_decay: 0\n\nbudget:\n  # trials: 9\n"
        "data: {folder: a}\n",
        id="nothing but comments",
    ),
    pytest.param(
        "data: {folder: a}\nspace:\n    # head\n    momentum:   0.9 # why\n\n    batch_size: [4,\n      9]   # two\n",
        f"data: {{folder: a}}\nspace:\n    # head\n    {MOMENTUM} # why\n\n    batch_size: [4, 8]   # two\n",
        id="indented by four",
    ),
    pytest.param(
        "space:\n   momentum:  # a\n      low: 0.8  # b\n      high: 0.95   # c\n   # d\n\n"
        "   batch_size:\n   - 4\n   - 16\n# e\ndata: {folder: a}\n",
        f"space:\n   {MOMENTUM}  # a  # b   # c\n   # d\n\n   batch_size: [4, 8]\n# e\ndata: {{folder: a}}\n",
        id="ranges and choices on many lines",
    ),
    pytest.param(
        "data: {folder: 'a'}\r\nspace:\r\n  'momentum' : 0.9 # x\r\n",
        f"data: {{folder: 'a'}}\r\nspace:\r\n  {NEW_BATCH}\n  'momentum': {MOMENTUM[10:]} # x\r\n",
        id="quotes and Windows' line ends",
    ),
    pytest.param(
        "data: {folder: a}\nspace: {batch_size: 4, clip_norm: 5}  # x\n",
        f"data: {{folder: a}}\nspace: {{{MOMENTUM}, batch_size: [4, 8], clip_norm: 5}}  # x\n",
        id="a section in braces",
    ),
    pytest.param(
        "{data: {folder: a}}\n", f"{{space: {{{MOMENTUM}, batch_size: [4, 8]}}, data: {{folder: a}}}}\n", id="all"
    ),
    pytest.param(
        "{data: {folder: a}, space: {momentum: [0.8, # one\n 0.9], # two\n batch_size: 4}}\n",
        f"{{data: {{folder: a}}, space: {{momentum: {MOMENTUM[10:]}  # one\n, # two\n batch_size: [4, 8]}}}}\n",
        id="braces with comments",
    ),
]


@pytest.mark.parametrize(("text", "changed"), STYLES)
def test_a_proposal_replaces_values_and_no_other_character(write, text, changed):
    assert write(text) == changed
    assert write(changed) == changed  # again: the same


def test_counts_go_into_the_detector_section_of_the_text_that_launch_writes(write, tmp_path):
    text = default_study_text({"folder": str(tmp_path)}, Options())
    changed = write(text, proposals=640)
    different = [(a, b) for a, b in zip(text.splitlines(), changed.splitlines(), strict=True) if a != b]
    assert [b.split("  #")[0] for _, b in different] == ["  proposals: 640", f"  {MOMENTUM}", "  batch_size: [4, 8]"]
    assert all(a.split("  #")[1] == b.split("  #")[1] for a, b in different)  # each with its comment


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("data: {folder: a}\nspace: {clip_norm: &x [4, 8], batch_size: *x}\n", id="an alias"),
        pytest.param("---\ndata: {folder: a}\n...\n", id="an end of the document"),
        pytest.param("data: {folder: a}\nspace: null\n", id="null in words"),
    ],
)
def test_a_text_that_a_program_can_not_change_is_left_alone(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"study\.yaml: .* put the proposed lines in by hand"):
        write_space(path, PROPOSED, {})
    assert path.read_text() == text
    assert os.listdir(tmp_path) == ["study.yaml"]


def test_a_study_file_that_only_its_owner_may_read_stays_so(write, tmp_path):
    path = tmp_path / "study.yaml"
    path.touch(mode=0o600)
    write("data: {folder: a}\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(write, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"study\.yaml: cannot be written \(No space left on device\)"):
        write("data: {folder: a}\n")
    assert (tmp_path / "study.yaml").read_text() == "data: {folder: a}\n"
    assert os.listdir(tmp_path) == ["study.yaml"]
