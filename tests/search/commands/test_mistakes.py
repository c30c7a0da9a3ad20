"""Each mistake of a user is answered with the rule, the value and the way out, and no traceback."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from detector.data.sample_data import write_sample
from tests.support.command_run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What a user does wrong, and what the message must hold: the rule, the value, what to do."""

    arguments: str  # of the command, with a space between them
    words: tuple[str, ...]
    study: str | None = None  # lines of study.yaml; None: a good one
    code: int = 2


def mistake(arguments: str, *words: str, study: str | None = None, code: int = 2) -> Mistake:
    return Mistake(arguments=arguments, words=words, study=study, code=code)


#: On a command line, before anything was launched.
COMMAND_LINES = {
    "a command that is none is answered with the nearest": mistake(
        "lanch", "no command lanch", "the nearest is launch"
    ),
    "a command like no other is answered with where they are listed": mistake(
        "zzz", "no command zzz", "`frcnn-search --help`"
    ),
    "an option that is none is answered with the nearest": mistake(
        "launch --trails 3", "no option --trails", "the nearest is --trials"
    ),
    "an option that is a setting of the study file": mistake(
        "launch --batch-size 4", "no option --batch-size", "in the study file it is space.batch_size"
    ),
    "an option by the word of other programs": mistake("launch --epochs 12", "--epochs", "budget.images"),
    "an option like no other": mistake("status --zzz", "no option --zzz", "`frcnn-search status --help`"),
    "an option without its value": mistake("launch --images", "--images needs a value", "frcnn-search launch --help"),
    "a value for an option that takes none": mistake("status --json=yes", "--json takes no value", "leave the = out"),
    "true after an option that takes no value": mistake(
        "status study.yaml --json true", "takes no value", "leave true out"
    ),
    "an argument that is missing": mistake("train", "CONFIGURATION is missing", "A file that `export` wrote"),
    "an option that is missing": mistake("evaluate w.safetensors", "--data is missing", "A folder, a file of"),
    "weights to export without where they are": mistake(
        "export --weights onnx --output model.onnx",
        "--weights, --from and --output",
        "--from trained/weights.safetensors",
    ),
    "weights to export in a format that is none": mistake(
        "export --weights tflite --from weights.safetensors --output model",
        "must be one of torchvision, detectron2, savedmodel, onnx, keras",
        "'tflite'",
    ),
    "weights to export that are not there": mistake(
        "export --weights keras --from absent.safetensors --output model.keras", "absent.safetensors", "no such file"
    ),
    "weights to export of a trial": mistake(
        "export --weights keras --trial 3 --from weights.safetensors --output model.keras", "--trial", "--from"
    ),
    "weights to export as a configuration": mistake(
        "export --weights keras --format mmdet --from weights.safetensors --output model.keras",
        "--format is of",
        "--from",
    ),
    "a number with an exponent": mistake("launch --images 1e3", "--images must be a whole number", "'1e3'; write 1000"),
    "a number with a comma": mistake("launch --images 4,000", "must be a whole number", "'4,000'; write 4000"),
    "a number with a k": mistake("launch --images 4k", "must be a whole number", "'4k'; write 4000"),
    "a broken number": mistake("launch --trials 2.5", "--trials must be a whole number", "'2.5'; write 2 or 3"),
    "a number in words": mistake("launch --workers many", "--workers must be a whole number", "'many'", "write digits"),
    "no trials": mistake("launch --trials 0", "--trials must be at least 1", "'0'"),
    "fewer than no workers": mistake("launch --workers -1", "--workers must be at least 1", "'-1'"),
    "training of no images": mistake("train best.yaml --images 0", "--images must be at least 1", "'0'"),
    "a seed that is too large": mistake(
        "launch new.yaml --data SAMPLE --seed 4294967296", "with --seed", "must be less than 4294967296", "4294967296"
    ),
    "a port out of range": mistake("dashboard --port 70000", "--port must be at most 65535", "'70000'"),
    "a score in per cent": mistake("predict w photos --output o --least-score 50", "--least-score must be at most 1"),
    "a trial in words": mistake("explain nine", "nine is neither", "the number of a trial", "explain study.yaml 3"),
    "a trial in words after the study file": mistake(
        "explain study.yaml nine", "TRIAL must be a whole number", "'nine'"
    ),
    "a canvas of no multiple": mistake("launch --canvas 100x128", "multiple of 32", "is 100", "the nearest is 96"),
    "a canvas of one number": mistake("launch --canvas 256", "HEIGHTxWIDTH", "'256'", "write 256x256"),
    "a canvas with a unit": mistake("launch --canvas 100x128px", "HEIGHTxWIDTH", "'100x128px'", "write 96x128"),
    "a canvas in words": mistake("launch --canvas big", "HEIGHTxWIDTH such as 256x320", "'big'"),
    "the doctor with a canvas that is none": mistake("doctor --canvas 1", "HEIGHTxWIDTH", "'1'", "write 32x32"),
    "an unquoted path of a study file": mistake("launch my study.yaml", "study.yaml", "launch 'my study.yaml'"),
    "an unquoted path before a trial": mistake("explain my study.yaml", "quote", "explain 'my study.yaml'"),
    "an unquoted path of data": mistake("launch new.yaml --data my", "no such folder", "must be quoted: 'my photos'"),
    "an unquoted path of an image": mistake("predict w my --output o", "my: there is no such file", "'my photos'"),
    "a study file that is not there": mistake("launch studi.yaml", "studi.yaml: there is no such file", "study.yaml?"),
    "a folder as study file": mistake("launch photos", "photos: is a folder", "--data photos"),
    "annotations as study file": mistake("launch photos/train.json", "annotations", "--data photos/train.json"),
    "a study file as data": mistake(
        "launch new.yaml --data study.yaml", "study.yaml: is no COCO file", "is named without --data"
    ),
    "data that is not there": mistake("launch new.yaml --data photo", "photo: there is no such folder", "photos?"),
    "data in an empty folder": mistake(
        "launch new.yaml --data empty", "no dataset recognised", "the folder is empty", "name them in study.yaml"
    ),
    "another study file in the way": mistake(
        "launch study.yaml --data SAMPLE", "study.yaml is there", "frcnn-search launch study.yaml"
    ),
    "a study file in a folder that is not there": mistake(
        "launch missing/study.yaml --data SAMPLE", "missing/study.yaml: cannot be written", "a folder of your own"
    ),
    "a study file in a folder of somebody else": mistake(
        "launch locked/study.yaml --data SAMPLE", "locked/study.yaml: cannot be written", "a folder of your own"
    ),
    "conversion into a folder of somebody else": mistake(
        "convert --data SAMPLE --to voc --output locked/new", "locked/new", "can't be written", "name another"
    ),
    "sample data in a folder of somebody else": mistake("sample-data locked/new", "locked/new", "name another folder"),
    "status before any launch": mistake("status", "there is no such study yet", "`frcnn-search launch study.yaml`"),
    "export before any launch": mistake("export", "there is no such study yet", "`frcnn-search launch study.yaml`"),
    "dashboard before any launch": mistake("dashboard", "no such study yet", "`frcnn-search launch study.yaml`"),
    "status of a study file that was moved": mistake(
        "status moved/study.yaml", "if the study file was moved", "study.db"
    ),
    "launch of a study file that was moved": mistake(
        "launch moved/study.yaml", "data.folder is photos", "moved/photos", "if the study file was moved, move it back"
    ),
    "the doctor on a study file that was moved": mistake("doctor moved/study.yaml", "moved/photos", "move it back"),
    "convert of a study file that was moved": mistake(
        "convert --data moved/study.yaml --to voc --output new", "moved/photos", "move it back"
    ),
    "a name without data": mistake("launch --name mine", "--name must come with --data", "edit study.yaml"),
    "a name with a slash": mistake("launch new.yaml --data SAMPLE --name a/b", "must begin with", "'a/b'", "write a-b"),
    "to go on under a name with a slash": mistake(
        "launch --continue-as a/b", "--continue-as must begin", "'a/b'", "write a-b"
    ),
    "to go on from data": mistake("launch --continue-as b --data SAMPLE", "--continue-as goes on", "leave one of them"),
    "a password on the command line": mistake(
        "worker --study s --storage postgresql://me:hush@host/db", "must not hold a password", "--storage env:NAME"
    ),
    "a password on the command line of launch": mistake(
        "launch new.yaml --data SAMPLE --storage postgresql://me:hush@host/db", "password", "--storage file:PATH"
    ),
    "a file as storage": mistake(
        "worker --study s --storage study.db", "--storage must begin with sqlite:///", "(none)", "sqlite:///PATH.db"
    ),
    "an SQLite URL with two slashes": mistake(
        "launch new.yaml --data SAMPLE --storage sqlite://study.db", "--storage must begin with", "write sqlite:///PATH"
    ),
    "a worker without a database": mistake(
        "worker --study s --storage sqlite:///none.db", "none.db: there is no such database", "`frcnn-search launch`"
    ),
    "a worker with a variable that is not set": mistake(
        "worker --study s --storage env:NO_SUCH", "NO_SUCH is not set", "set it to a URL"
    ),
    "weights that are none": mistake(
        "launch --weights imagnet", "weights must be coco, imagenet, none or a file", "'imagnet'"
    ),
    "a folder as weights": mistake(
        "evaluate photos --data SAMPLE", "photos: is a folder", "leaves weights.safetensors"
    ),
    "a file as weights that holds none": mistake(
        "evaluate junk.safetensors --data SAMPLE", "junk.safetensors is not a safetensors", "leaves weights.safetensors"
    ),
    "weights that are not there": mistake(
        "evaluate jun.safetensors --data SAMPLE", "no such file", "junk.safetensors?"
    ),
    "an image that is not there": mistake("predict w photos/x.png --output o", "photos/x.png: there is no such file"),
    "images in a folder without any": mistake("predict w empty --output o", "no image in this folder", "name one"),
    "a configuration that is a study file": mistake(
        "train study.yaml", "study.yaml is a study file", "frcnn-search export study.yaml --output best.yaml"
    ),
    "a configuration that is not there": mistake("train worst.yaml", "worst.yaml: there is no such file", "`export`"),
    "a configuration that is no text": mistake("train junk.safetensors", "UTF-8 text", "byte 0", "`export` writes one"),
    "a configuration as study file": mistake(
        "launch chosen.yaml", "chosen.yaml is a configuration", "frcnn-search train chosen.yaml"
    ),
    "another engine": mistake("launch --engine slurm", "--engine", "'slurm' is not one of 'local', 'ray'"),
    "Ray's options without Ray": mistake(
        "launch --ray-address head:6379", "--ray-address must come with --engine ray", "workers of this machine"
    ),
    "part of more than one GPU": mistake(
        "launch --engine ray --gpus-per-worker 1.5", "--gpus-per-worker must be 0", "such as 0.5", "1.5"
    ),
    "a GPU in words": mistake("launch --gpus-per-worker half", "must be a number such as 0.5", "'half'"),
    "another format": mistake(
        "convert --data SAMPLE --to pascal --output new", "--to must be one of coco, voc, yolo", "'pascal'"
    ),
    "conversion over other files": mistake(
        "convert --data SAMPLE --to voc --output full", "full: is not an empty folder", "name a new one"
    ),
    "sample data over other files": mistake("sample-data full", "full is not empty"),
    "sample data over a file": mistake("sample-data notes.txt", "notes.txt is a file", "name a folder"),
    "proposed ranges without a study file": mistake(
        "doctor --data SAMPLE --write-space", "--write-space changes a study file", "`launch --data` writes one"
    ),
    "the length of a replay without a replay": mistake("explain --images 3", "--images is the length", "--confirm"),
}

#: In the study file.
STUDY_FILES = {
    "a key that is misspelt": mistake(
        "launch", "budget.trails: there is no such key", "the nearest is trials", study="budget: {trails: 3}"
    ),
    "a key of another section": mistake(
        "launch", "images: there is no such key here", "in the section `budget`", study="images: 1000"
    ),
    "a key like no other": mistake("launch", "zzz: there is no such key", "those that there are: name", study="zzz: 1"),
    "a parameter that is misspelt": mistake(
        "launch", "space.lr: there is no such parameter", "the nearest is lr_per_16", study="space: {lr: 0.1}"
    ),
    "a number with an exponent": mistake(
        "launch", "budget.images", "1000.0; write 1000", study="budget: {images: 1e3}"
    ),
    "a number with a k": mistake("launch", "budget.images", "'4k'; write 4000", study="budget: {images: 4k}"),
    "a number in quotes": mistake("launch", "'30'; write 30 without quotes", study="budget: {trials: '30'}"),
    "a rung with an exponent": mistake("launch", "budget.rungs", "write 100", study="budget: {rungs: [1e2]}"),
    "a batch that is no whole number": mistake("launch", "batch_size", "write 8", study="space: {batch_size: [8.0]}"),
    "a rate in quotes": mistake("launch", "lr_per_16", "without quotes", study="space: {lr_per_16: '0.01'}"),
    "a rate out of range": mistake(
        "launch", "space.lr_per_16: must lie in [1e-08, 10]", "but is 11", study="space: {lr_per_16: 11}"
    ),
    "no trials": mistake("launch", "trials: must be at least 1, but is 0", study="budget: {trials: 0}"),
    "a section that is a number": mistake(
        "launch", "must be a section", "is 40", "its keys are trials, trainings, images", study="budget: 40"
    ),
    "a canvas of one number": mistake("launch", "HEIGHTxWIDTH", "write 256x256", study="detector: {canvas: 256}"),
    "another sampler": mistake(
        "launch", "sampler.name: must be one of model, tpe or random", "'grid'", study="sampler: {name: grid}"
    ),
    "a tab": mistake("launch", "line 3", "indent with spaces, not tabs", study="budget:\n\ttrials: 3"),
    "a key given twice": mistake("launch", "key 'data' is given twice", "remove one", study="data: {folder: x}"),
    "a name with a slash": mistake("launch", "name: must begin", "'a/b'; write a-b", study="name: a/b"),
    "another database": mistake("status", "must begin with sqlite:///", "is mysql", study="storage: mysql://me@h/db"),
    "a storage that is no database": mistake(
        "status", "notes.txt isn't an SQLite database", "choose another path", study="storage: sqlite:///notes.txt"
    ),
    "a storage in a file that others may read": mistake(
        "status", "others may read", "run: chmod 600", study="storage: file:notes.txt"
    ),
    "a storage in a variable that is not set": mistake(
        "status", "the environment variable NO_SUCH is not set", "set it to a URL", study="storage: env:NO_SUCH"
    ),
    "PostgreSQL that is not there": mistake(
        "status",
        "localhost:1/db doesn't answer",
        "check that it runs",
        study="storage: postgresql://me@localhost:1/db",
        code=75,
    ),
    "nothing at all": mistake("launch", "study.yaml: must hold `key: value` lines", "is empty", study=""),
}

#: With a study that was run.
RUN_STUDIES = {
    "a trial that is not there": mistake("explain 99", "has no trial 99", "they are 0 to 5"),
    "export of a trial that is not there": mistake("export --trial 99", "there is no trial 99", "are 0, 1, 2"),
    "export of a trial that diverged": mistake(
        "export --trial 2", "trial 2 ended as diverged", "it cannot work", "see `status`"
    ),
    "export over another file": mistake("export --output study.yaml", "is not an export", "choose another --output"),
    "export into a folder that is not there": mistake(
        "export --output missing/best.yaml", "missing/best.yaml: cannot be written", "a folder of yours"
    ),
    "export as something else": mistake("export --format onnx", "--format must be one of frcnn", "'onnx'"),
    "export with a length for train": mistake("export --images 9", "--images is the length", "say it to `train`"),
    "export of all into a file": mistake("export --format all --output study.yaml", "is a file", "name a folder"),
    "export for another framework over another file": mistake(
        "export --format tfm --output study.yaml", "is not an export", "choose another --output"
    ),
    "export with a wrong suffix": mistake("export --format mmdet --output a.yaml", "ends in .py", "name a folder"),
    "export that hides its package": mistake("export --format mmdet --output mmdet.py", "hide a package", "another"),
    "a page in a folder that is not there": mistake(
        "explain --without-data --html missing/page.html", "missing/page.html: cannot be written", "another --html"
    ),
    "a replay of no trial": mistake("explain --confirm", "--confirm needs the number of a trial", "explain STUDY_FILE"),
    "a study by another name": mistake(
        "status", "no study 'blood sells'", "did you mean 'blood cells'", study="NAMED blood sells"
    ),
    "a worker for a study by another name": mistake(
        "worker --storage sqlite:///study.db --study blood", "no study 'blood'", "it holds 'blood cells'"
    ),
    "a study of the same name with other data": mistake(
        "launch", "was begun with another specification", "data.folder", "give the study another name", study="OTHER"
    ),
    "to go on under the same name": mistake("launch --continue-as blood_cells", "must name another", "'blood cells'"),
    "a dashboard for everybody": mistake(
        "dashboard --host 0.0.0.0", "needs a password, but none is set", "leave --host at 127.0.0.1"
    ),
    "a dashboard that may write": mistake("dashboard --writable", "needs a password", "leave --writable out"),
    "a password file that is not there": mistake(
        "dashboard --password-file missing", "file missing cannot be read", "check path and rights"
    ),
}


@pytest.fixture
def answer(
    tmp_path: Path, sample: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mistake], str]:
    """What is said to a mistake, in a folder with what people have lying about; checks code and traceback."""
    monkeypatch.delenv("FRCNN_DASHBOARD_PASSWORD", raising=False)
    for name in ("empty", "full", "moved", "locked"):
        (tmp_path / name).mkdir()
    (tmp_path / "locked").chmod(0o500)
    for name in ("photos", "my photos"):
        write_sample(tmp_path / name, train=2, validation=1)
    (tmp_path / "full" / "thesis.txt").write_text("ten years of work")
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for the header of one " * 20)
    (tmp_path / "my study.yaml").write_text("data: {folder: photos}\n")
    (tmp_path / "moved" / "study.yaml").write_text("data: {folder: photos}\n")
    (tmp_path / "chosen.yaml").write_text("hyperparameters: {}\ndata: {folder: photos}\n")
    (tmp_path / "junk.safetensors").write_bytes(b"\xff" * 100)

    def go(mistake: Mistake) -> str:
        words = {"SAMPLE": str(sample), "blood_cells": "blood cells"}
        done = run(*(words.get(word, word) for word in mistake.arguments.split()))
        said = " ".join((done.out + done.err).split())
        assert done.code == mistake.code, said
        assert "Traceback" not in said
        assert "hush" not in said, "a password is shown"
        return said

    return go


def written(file: Path, lines: str | None, sample: Path) -> None:
    """The study file with the mistake in it."""
    if lines is None:
        return
    whole = {
        "": "",
        "NAMED blood sells": f"name: blood sells\nstorage: sqlite:///study.db\ndata: {{folder: {sample}}}\n",
        "OTHER": file.read_text().replace(str(sample), "my photos") + "trainer: analytic\n",
    }
    file.write_text(whole.get(lines, f"data: {{folder: {sample}}}\n{lines}\n"))


@pytest.mark.parametrize("mistake", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_mistake_on_the_command_line_is_answered_with_what_to_write(
    answer: Callable[[Mistake], str], study_file: Path, mistake: Mistake
) -> None:
    if "locked" in mistake.arguments and os.access("locked", os.W_OK):
        pytest.skip("root may write everywhere")
    said = answer(mistake)
    assert [word for word in mistake.words if word not in said] == [], said


@pytest.mark.parametrize("mistake", STUDY_FILES.values(), ids=STUDY_FILES)
def test_a_mistake_in_the_study_file_is_answered_with_what_to_write(
    answer: Callable[[Mistake], str], study_file: Path, sample: Path, mistake: Mistake
) -> None:
    written(study_file, mistake.study, sample)
    said = answer(mistake)
    assert [word for word in mistake.words if word not in said] == [], said


@pytest.mark.parametrize("mistake", RUN_STUDIES.values(), ids=RUN_STUDIES)
def test_a_mistake_with_a_study_that_was_run_is_answered_with_what_to_write(
    answer: Callable[[Mistake], str], study: optuna.Study, study_file: Path, sample: Path, mistake: Mistake
) -> None:
    written(study_file, mistake.study, sample)
    said = answer(mistake)
    assert [word for word in mistake.words if word not in said] == [], said
