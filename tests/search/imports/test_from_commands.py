"""`doctor --from` and `launch --from` on the command line."""

import json
import shutil
from pathlib import Path

import pytest

from detector.config import BackboneName
from search.plan import as_launched
from search.study.study_file import load_study_file
from storage.connection.database import Database
from storage.outcomes import read_outcome
from storage.study import find_study

FAILING = Path(__file__).parent / "failing"


@pytest.fixture
def theirs(tmp_path):
    """A file of theirs in the working folder."""
    return lambda name: shutil.copy(FAILING / name, tmp_path / name)


def test_the_doctor_prints_what_is_wrong_with_their_file_beside_what_is_wrong_with_the_data(run, shapes, theirs):
    theirs("eight_gpus.yaml")
    done = run("doctor", "--data", shapes, "--from", "eight_gpus.yaml")
    assert done.code == 2
    assert "eight_gpus.yaml (Detectron2), on this data:" in done.out
    assert "error   rate-for-more-gpus: SOLVER.BASE_LR is 0.02" in done.out
    assert "line 12: SOLVER.BASE_LR = 0.02" in done.out
    assert "the data and the study:" in done.out
    assert "canvas 128x160" in done.out  # as large as images get with them
    assert "launch --data" in done.out
    assert "--from eight_gpus.yaml" in done.out


def test_programs_read_the_findings_in_json(run, shapes, theirs):
    theirs("no_names.py")
    document = json.loads(run("doctor", "--data", shapes, "--from", "no_names.py", "--json").out)
    assert document["from"]["file"] == "no_names.py (MMDetection)"
    first = document["from"]["findings"][0]
    assert (first["name"], first["severity"]) == ("class-names-missing", "error")


def test_more_gpus_and_a_format_can_be_named(run, shapes, theirs):
    theirs("rate_for_eight.py")
    done = run("doctor", "--data", shapes, "--from", "rate_for_eight.py", "--gpus", 8, "--from-format", "mmdet")
    assert "rate-for-more-gpus" not in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpus", 2), "--gpus must come with --from FILE"),
        (("--from", "nowhere.yaml"), "nowhere.yaml: there is no such file"),
        (("--from", "eight_gpus.yaml", "--from-format", "keras"), "--from-format must be one of detectron2, mmdet"),
        (("--from", "eight_gpus.yaml", "--from-format", "mmdet"), "is no Python"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_do(run, shapes, theirs, arguments, message):
    theirs("eight_gpus.yaml")
    done = run("doctor", "--data", shapes, *arguments)
    assert done.code == 2
    assert message in " ".join((done.out + done.err).split())


def test_a_launch_writes_theirs_into_the_study_file_and_the_study(run, shapes, theirs, tmp_path):
    theirs("eight_gpus.yaml")
    arguments = ("launch", "mine.yaml", "--data", shapes, "--from", "eight_gpus.yaml", "--trials", 3, "--only-create")
    done = run(*arguments, "--images", 960)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "trial 0 is eight_gpus.yaml (Detectron2), although 1 of these findings are errors" in said
    assert "error rate-for-more-gpus" in said
    text = (tmp_path / "mine.yaml").read_text()
    assert "# Trial 0 trains this as it is, whatever the space: eight_gpus.yaml (Detectron2)." in text
    specification = load_study_file(tmp_path / "mine.yaml")
    assert specification.imported is not None
    own = specification.imported.hyperparameters
    assert (own.batch_size, own.learning_rate, own.decay_boundaries) == (2, 0.02, (0.6, 0.9))
    assert str(specification.detector.canvas) == "128x160"
    assert specification.imported.keys["lr_per_16"].key == "SOLVER.BASE_LR"
    assert specification.imported.keys["lr_per_16"].line == 12
    with Database.open(specification.storage) as database:
        launched = as_launched(find_study(database, specification.name), storage=specification.storage)
    assert launched.imported == specification.imported
    assert launched.hyperparameters(0, launched.first_point) == own
    assert launched.derived  # trial 1 is what the boxes suggest
    again = run(*arguments, "--images", 960)  # the same file: nothing is in the way
    assert again.code == 0, again.err


def test_a_canvas_of_ones_own_scales_the_anchors_along(run, shapes, theirs, tmp_path):
    theirs("eight_gpus.yaml")
    done = run(
        "launch", "mine.yaml", "--data", shapes, "--from", "eight_gpus.yaml", "--canvas", "64x96", "--only-create"
    )
    assert done.code == 0, done.err
    specification = load_study_file(tmp_path / "mine.yaml")
    assert specification.imported is not None
    assert specification.imported.hyperparameters.anchors.sizes_px[0][0] < 32
    assert "and so are the anchors of trial 0" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("options", "expected"), [((), BackboneName.RESNET18), (("--backbone", "resnet34"), BackboneName.RESNET34)]
)
def test_the_study_has_their_backbone_unless_another_is_named(run, shapes, theirs, tmp_path, options, expected):
    file = theirs("eight_gpus.yaml")
    text = file.read_text()
    file.write_text(text.replace("MODEL:\n", "MODEL:\n  RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 64}\n", 1))
    arguments = ("launch", "mine.yaml", "--data", shapes, "--from", file.name, "--only-create", *options)
    done = run(*arguments)
    assert done.code == 0, done.err
    assert load_study_file(tmp_path / "mine.yaml").detector.backbone is expected
    assert f"with {expected}; its schedule" in " ".join(done.out.split())
    assert "other-model" not in done.out
    assert run(*arguments).code == 0  # the same file: nothing is in the way


def test_a_small_backbone_has_no_weights_of_keras_and_no_advice_to_take_them(run, shapes, theirs):
    file = theirs("eight_gpus.yaml")
    file.write_text(file.read_text().replace("MODEL:\n", "MODEL:\n  RESNETS: {DEPTH: 18}\n", 1))
    said = " ".join(run("doctor", "--data", shapes, "--from", file.name).out.split())
    assert "give launch --weights a file, where they begin" in said


def test_without_data_there_is_nothing_to_begin(run, theirs):
    theirs("eight_gpus.yaml")
    done = run("launch", "--from", "eight_gpus.yaml")
    assert done.code == 2
    assert "--from must come with --data" in done.err


@pytest.fixture
def launched(run, shapes, theirs, tmp_path):
    """A study of the analytic trainer whose trial 0 is the file of eight GPUs, run to its end."""
    theirs("eight_gpus.yaml")
    arguments = ("--data", shapes, "--from", "eight_gpus.yaml", "--trials", 3, "--images", 960, "--only-create")
    assert run("launch", "mine.yaml", *arguments).code == 0
    file = tmp_path / "mine.yaml"
    file.write_text(f"trainer: analytic\n{file.read_text()}")
    done = run("launch", "mine.yaml")
    assert done.code == 0, done.err
    assert "trial 0: eight_gpus.yaml (Detectron2) as it is" in " ".join(done.out.split())
    return file


def test_theirs_fails_is_explained_in_its_keys_and_comes_back_mended(run, launched, tmp_path):
    said = " ".join(run("explain", "mine.yaml", 0).out.split())
    assert "trial 0 diverged" in said
    assert "in eight_gpus.yaml (Detectron2): set SOLVER.BASE_LR (line 12) from 0.02 to" in said
    assert "error rate-for-more-gpus: SOLVER.BASE_LR is 0.02 for batches of 2 images" in said
    done = run("export", "mine.yaml", "--onto", "eight_gpus.yaml", "--output", "mended.yaml")
    assert done.code == 0, done.err
    assert "what should mend trial 0" in done.out
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("eight_gpus.yaml", "mended.yaml"))
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert [one.strip() for one, _ in changed] == ["BASE_LR: 0.02"]
    assert float(changed[0][1].split(":")[1]) < 0.0125  # where the analytic trainer no longer explodes, at batch 2
    with Database.open(load_study_file(launched).storage) as database:
        first = read_outcome(find_study(database, load_study_file(launched).name), 0)
    assert first is not None
    assert first.evidence["effective_rate"] == pytest.approx(0.16)  # 0.02 for 2 images, as the file has it


def test_another_trial_goes_onto_the_file_and_onto_no_other(run, launched, theirs, tmp_path):
    done = run("export", "mine.yaml", "--onto", "eight_gpus.yaml", "--trial", 1, "--output", "other.yaml")
    assert done.code == 0, done.err
    assert "with the values of trial 1" in done.out
    assert "# A rate for eight GPUs, trained on one" in (tmp_path / "other.yaml").read_text()
    theirs("one_list.yaml")
    for name, options, message in (
        ("eight_gpus.yaml", ("--output", "other.yaml"), "other.yaml is there"),
        ("one_list.yaml", ("--output", "new.yaml"), "one_list.yaml is not what trial 0 was made of"),
        ("eight_gpus.yaml", ("--format", "mmdet"), "trial 0 came from a file of Detectron2"),
    ):
        refused = run("export", "mine.yaml", "--onto", name, *options)
        assert refused.code == 2
        assert message in " ".join(refused.err.split())
