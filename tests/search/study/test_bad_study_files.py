"""What a stranger may write into a study file or a configuration file, and the message that it gets."""

from pathlib import Path

import pytest
import yaml

from detector.config import Canvas, ConfigError, Detector, Hyperparameters
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.study.data_section import Data
from search.study.document import MAX_BYTES, StudyFileError
from search.study.study_file import load_study_file

DATA = "data: {folder: cells}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)  # 10^7 values in 7 lines

BAD_STUDIES = [
    # the YAML itself
    pytest.param("", "must hold `key: value` lines, but is empty", id="empty file"),
    pytest.param("- 1\n- 2\n", "must hold `key: value` lines, but holds a list", id="a list"),
    pytest.param("just text\n", "but holds a str", id="a text"),
    pytest.param("data:\n\tfolder: cells\n", "indent with spaces, not tabs", id="tab"),
    pytest.param("data: [1, 2\nname: x\n", "line 2", id="bracket left open"),
    pytest.param("data: {folder: a}\ndata: {folder: b}\n", "line 2: key 'data' is given twice", id="double key"),
    pytest.param(DATA + "budget: {trials: 1, trials: 2}", "key 'trials' is given twice", id="double key inside"),
    pytest.param(DATA + "name: !!python/object/apply:os.system [ls]", "line 2: tags are refused", id="python tag"),
    pytest.param(DATA + "name: !!str x", "line 2: tags are refused", id="any tag"),
    pytest.param(BOMB + DATA, "at most 20,000 values are allowed", id="alias bomb"),
    pytest.param("data: &d {folder: *d}", "an alias contains itself", id="alias of itself"),
    pytest.param("data: " + "[" * 5000 + "]" * 5000, "this deep", id="nested 5,000 deep"),
    pytest.param(DATA + "workers: " + "9" * 6000, "this long", id="integer of 6,000 digits"),
    pytest.param("data: [" + "1," * 400_000 + "]", "at most 20,000 values are allowed", id="400,000 values"),
    pytest.param(DATA + "space: {lr_per_16: 1" + "0" * 400 + "}", "must be a finite number", id="larger than a float"),
    pytest.param(DATA + f"budget: {{images: {10**400}, rungs: [1]}}", "must be less than 2147483648", id="many images"),
    pytest.param(DATA + f"budget: {{images: 100, rungs: [{10**400}]}}", "list of image counts", id="a rung too large"),
    pytest.param(DATA + f"pruner: {{reduction_factor: {10**400}}}", "must be less than 2147483648", id="huge factor"),
    pytest.param(DATA + f"detector: {{canvas: [32, {32 * 10**400}]}}", "must be at most 16384 px", id="wide canvas"),
    pytest.param(DATA + f"detector: {{canvas: {'9' * 6000}x32}}", "must be whole numbers", id="canvas of many digits"),
    pytest.param(DATA + "1: x", "a key must be text, but is '1'", id="a number as key"),
    pytest.param(DATA + "---\nname: b\n", "expected a single document", id="two documents"),
    pytest.param("#" * (MAX_BYTES + 1), "must be at most 1,000,000 bytes", id="too large"),
    # keys
    pytest.param(DATA + "detectr: {}", "study.yaml: detectr: there is no such key; the nearest is detector", id="typo"),
    pytest.param(
        DATA + "detector: {canvs: 1}", "detector.canvs: there is no such key; the nearest is canvas", id="key"
    ),
    pytest.param("data: {folders: x}", "data.folders: there is no such key; the nearest is folder", id="data key"),
    pytest.param(
        "data: {train: {images: a, annotation: b}}", "data.train.annotation: there is no such key", id="split key"
    ),
    # data
    pytest.param("workers: 1", "data: is missing", id="no data"),
    pytest.param("data:\n", "data: must be a section", id="data left empty"),
    pytest.param("data: {validation_share: 0.3}", "data: give either folder, or train", id="data without a place"),
    pytest.param(
        "data: {folder: a, train: {images: a, annotations: b}}", "data: folder and train exclude", id="both places"
    ),
    pytest.param(
        "data: {folder: a, validation: {images: a, annotations: b}}",
        "data: validation needs train",
        id="odd validation",
    ),
    pytest.param("data: {train: {images: a}}", "data.train.annotations: is missing", id="half a split"),
    pytest.param("data: {folder: a, validation_share: 1}", "data.validation_share: must be less than 1", id="share"),
    pytest.param('data: {folder: "a\\0b"}', "data.folder: a path must not hold a NUL", id="NUL in a path"),
    pytest.param("data: {folder: 7}", "data.folder: ", id="a number as path"),
    pytest.param(
        "data: {train: {images: a, annotations: b, format: parquet}}", "data.train.format: must be one of", id="format"
    ),
    # detector
    pytest.param(DATA + "detector: 7", "detector: must be a section", id="wrong type of a section"),
    pytest.param(
        DATA + "detector: {canvas: 100x128}",
        "study.yaml: detector.canvas: canvas height must be a positive multiple of 32 px, but is 100; the nearest",
        id="canvas not a multiple of 32",
    ),
    pytest.param(DATA + "detector: {canvas: 128}", "detector.canvas: must be HEIGHTxWIDTH", id="canvas of one number"),
    pytest.param(DATA + "detector: {canvas: axb}", "detector.canvas: height and width must be", id="canvas of letters"),
    pytest.param(DATA + "detector: {canvas: [0, 32]}", "detector.canvas: canvas height must be", id="canvas of 0"),
    pytest.param(DATA + "detector: {backbone: vgg16}", "detector.backbone: must be one of resnet50", id="backbone"),
    pytest.param(DATA + "detector: {precision: float16}", "must be one of float32 or bfloat16", id="precision"),
    pytest.param(DATA + "detector: {weights: imagnet}", "must be coco, imagenet, none or a file", id="weights"),
    pytest.param(DATA + "detector: {weights: 5}", "detector.weights: must be text, but is 5", id="weights of a number"),
    pytest.param(
        DATA + "detector: {precision: auto}", "precision: must be one of float32", id="no automatic precision"
    ),
    pytest.param(
        DATA + "detector: {frozen_stages: 6}",
        "detector: frozen_stages must be 0 (none) to 5 (the whole backbone), not 6",
        id="stages",
    ),
    pytest.param(
        DATA + "detector: {roi_samples: 0}", "detector: roi_samples must be at least 1, but is 0", id="no RoIs"
    ),
    pytest.param(
        DATA + "detector: {micro_batch: 3}", "micro_batch must divide every space.batch_size", id="micro-batch"
    ),
    # space
    pytest.param(DATA + "space: [1]", "space: must be a section", id="space of a list"),
    pytest.param(DATA + "space: {lr: 1}", "space.lr: there is no such parameter; the nearest is lr_per_16", id="lr"),
    pytest.param(DATA + "space: {lr_per_16: -1}", "space.lr_per_16: must lie in", id="negative learning rate"),
    pytest.param(DATA + "space: {lr_per_16: fast}", "must be a finite number", id="learning rate of text"),
    pytest.param(DATA + "space: {momentum: .nan}", "space.momentum: must be a finite number", id="NaN"),
    pytest.param(DATA + "space: {lr_per_16: {low: 1, high: 0.1}}", "low must be less than high", id="low above high"),
    pytest.param(DATA + "space: {clip_norm: {low: 1, high: .inf}}", "must be a finite number", id="infinite range"),
    pytest.param(DATA + "space: {weight_decay: {low: 0}}", "a logarithmic range needs low > 0", id="log with 0"),
    pytest.param(DATA + "space: {batch_size: []}", "space.batch_size: at least one choice", id="no choice"),
    pytest.param(DATA + "space: {batch_size: [4, 4]}", "choices must differ", id="the same choice twice"),
    pytest.param(DATA + "space: {momentum: 1}", r"space.momentum: must lie in [0, 0.999]", id="momentum of 1"),
    pytest.param(DATA + "space: {decay_first: 1.5}", "space.decay_first: must lie in [0.01, 0.99]", id="decay outside"),
    pytest.param(DATA + "space: {optimizer: rmsprop}", "must be one of sgd, adam", id="optimizer"),
    pytest.param(DATA + "space: {anchors: {sizes_px: [8]}}", "exactly sizes_px and ratios", id="half of the anchors"),
    # budget, sampler, pruner, the rest
    pytest.param(DATA + "budget: {trials: 0}", "budget.trials: must be at least 1, but is 0", id="no trials"),
    pytest.param(DATA + "budget: {trials: '3'}", "budget.trials: must be a whole number, but is '3'", id="quoted"),
    pytest.param(DATA + "budget: {trials: 2.5}", "budget.trials: must be a whole number", id="half a trial"),
    pytest.param(DATA + "budget: {trials: true}", "budget.trials: must be a whole number", id="trials of true"),
    pytest.param(DATA + "budget: {images: many}", "budget.images: must be a whole number", id="images of text"),
    pytest.param(
        DATA + "budget: {images: 100, rungs: [50, 200]}", "must not exceed budget.images (100)", id="rung too late"
    ),
    pytest.param(DATA + "budget: {images: 100, rungs: [7]}", "at least 8% of budget.images (100)", id="rung too early"),
    pytest.param(DATA + "budget: {rungs: [50, 50]}", "image counts must increase", id="rungs not increasing"),
    pytest.param(DATA + "budget: {rungs: []}", "budget.rungs: must be auto, a number", id="no rungs"),
    pytest.param(DATA + "budget: {images: 1500, rungs: 4}", "budget.rungs must be at most 3", id="too many rungs"),
    pytest.param(DATA + "sampler: {name: cmaes}", "sampler.name: must be one of model, tpe or random", id="sampler"),
    pytest.param(DATA + "sampler: {seed: -1}", "sampler.seed: must be at least 0", id="negative seed"),
    pytest.param(DATA + "pruner: {name: asha}", "pruner.name: must be one of promotion", id="pruner"),
    pytest.param(DATA + "pruner: {reduction_factor: 1}", "must be at least 2, but is 1", id="reduction factor 1"),
    pytest.param(DATA + "watch: {enabled: 1}", "watch.enabled: must be true or false, but is 1", id="watch"),
    pytest.param(DATA + "workers: 0", "workers: must be at least 1, but is 0", id="no workers"),
    pytest.param(DATA + "name: ../x", "name: must begin with a letter or digit", id="a path as name"),
    pytest.param(DATA + 'name: "\\ud800"', "holds text that is no valid Unicode", id="half a character"),
    pytest.param(DATA + "storage: mysql://h/d", "storage: must begin with sqlite:///", id="storage scheme"),
    pytest.param(DATA + "storage: study.db", "the scheme is (none)", id="storage without a scheme"),
    pytest.param(DATA + "storage: 'sqlite:///:memory:'", "must name a file", id="storage in memory"),
]


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content):
        path = tmp_path / "study.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path.relative_to(tmp_path)

    return write


@pytest.mark.parametrize(("text", "message"), BAD_STUDIES)
def test_a_bad_study_file_is_refused_with_its_rule(study_file, text, message):
    with pytest.raises(StudyFileError) as raised:
        load_study_file(study_file(text))
    lines = str(raised.value).splitlines()
    assert any(message in line for line in lines), lines
    assert all(line.startswith("study.yaml: ") for line in lines)


def test_a_study_file_error_is_one_that_the_user_can_mend():
    assert issubclass(StudyFileError, ConfigError)


def test_all_problems_of_a_file_are_listed_one_to_a_line(study_file):
    text = DATA + "workers: 0\nspace: {lr: 1, momentum: 2}\nbudget: {trials: x}\npruners: {}\n"
    with pytest.raises(StudyFileError) as raised:
        load_study_file(study_file(text))
    places = [line.split(": ")[1] for line in str(raised.value).splitlines()]
    assert sorted(places) == ["budget.trials", "pruners", "space.lr", "space.momentum", "workers"]


def test_a_missing_file_a_folder_and_a_binary_file_are_named(tmp_path):
    binary = tmp_path / "model.h5"
    binary.write_bytes(b"\x89HDF\r\n\x1a\n\xff")
    zeros = tmp_path / "zeros.yaml"
    zeros.write_bytes(b"name: a\0b")
    for path, message in [
        (tmp_path / "absent.yaml", "there is no such file"),
        (tmp_path, "is a folder"),
        (binary, "must be UTF-8 text"),
        (zeros, "special characters are not allowed"),
    ]:
        with pytest.raises(StudyFileError, match=message) as raised:
            load_study_file(path)
        assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("storage: mysql://u:canary@host/db", id="another scheme"),
        pytest.param("storage: [postgresql://u:canary@host/db]", id="a list"),
        pytest.param("storage: {postgresql: canary}", id="a mapping"),
        pytest.param("storage: postgresql://u:canary@host/db\nworkers: 0", id="another problem"),
        pytest.param("storage: postgresql://u:canary@host/db\ndetector: {micro_batch: 3}", id="a rule of the whole"),
        pytest.param("storag: postgresql://u:canary@host/db", id="a typo"),
        pytest.param('storage: postgresql://u:canary@host/db\nname: "\\ud800"', id="half a character"),
        pytest.param("storage: 'postgresql://u:canary@host/db", id="broken YAML"),
    ],
)
def test_no_message_shows_the_password_of_a_storage(study_file, line):
    with pytest.raises(StudyFileError) as raised:
        load_study_file(study_file(DATA + line))
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


CONFIGURATION = Configuration(
    hyperparameters=Hyperparameters(),
    detector=Detector(canvas=Canvas(height_px=128, width_px=160)),
    classes=("red", "white"),
    data=Data(folder=Path("/data")),
    provenance=Provenance(
        study="cells",
        trial=3,
        ap=0.41,
        images=1200,
        budget_images=1200,
        seed=7,
        code_version="0.1.0",
        dataset_fingerprint="abc",
        exported_at="2026-01-02T03:04:05+00:00",
    ),
)

BAD_CONFIGURATIONS = [
    pytest.param(("hyperparameters", "lr"), 1, "hyperparameters.lr: there is no such key", id="unknown hyperparameter"),
    pytest.param(
        ("trainer",), 1, "trainer: there is no such key; those that there are: hyperparameters", id="unknown section"
    ),
    pytest.param(("hyperparameters", "lr_per_16"), -1, "hyperparameters: lr_per_16 must be positive", id="rate"),
    pytest.param(("hyperparameters", "lr_per_16"), float("nan"), "must be a finite number", id="NaN"),
    pytest.param(("hyperparameters", "lr_per_16"), "0.1", "must be a number, but is '0.1'", id="quoted number"),
    pytest.param(("hyperparameters", "momentum"), 1.0, "momentum must lie in [0, 1)", id="momentum"),
    pytest.param(("hyperparameters", "optimizer"), "adamw", "must be one of sgd or adam", id="optimizer"),
    pytest.param(
        ("hyperparameters", "decay_boundaries"), [0.9, 0.5], "must be increasing fractions", id="decay out of order"
    ),
    pytest.param(("hyperparameters", "decay_boundaries"), [1.2], "between warm-up", id="decay outside"),
    pytest.param(("hyperparameters", "anchors", "ratios"), [], "must be positive numbers", id="no ratios"),
    pytest.param(("hyperparameters", "anchors", "sizes_px"), [[8]], "needed for 5 levels", id="one level"),
    pytest.param(("hyperparameters", "augmentation", "hue"), 2, "hue must lie in [0, 1]", id="hue"),
    pytest.param(("hyperparameters", "batch_size"), 1.5, "must be a whole number", id="batch size"),
    pytest.param(("detector", "canvas", "height_px"), 100, "must be a positive multiple of 32", id="canvas"),
    pytest.param(("detector", "backbone"), "vgg", "detector.backbone: must be one of resnet50", id="backbone"),
    pytest.param(("detector", "micro_batch"), 5, "must divide hyperparameters.batch_size (16)", id="micro-batch"),
    pytest.param(("classes",), [], "classes must name at least one class", id="no classes"),
    pytest.param(("classes",), ["a", "a"], "classes must differ", id="a class twice"),
    pytest.param(("classes",), "cell", "classes: must be a list, but is 'cell'", id="classes of text"),
    pytest.param(("data", "folder"), None, "data: give either folder, or train", id="no data"),
    pytest.param(("provenance", "trial"), "best", "provenance.trial: must be a whole number", id="trial"),
    pytest.param(("provenance",), None, "provenance: must be a section", id="no provenance"),
]


@pytest.mark.parametrize(("keys", "value", "message"), BAD_CONFIGURATIONS)
def test_a_bad_configuration_file_is_refused_with_its_rule(tmp_path, keys, value, message):
    path = tmp_path / "best.yaml"
    write_configuration(path, CONFIGURATION)
    document = yaml.safe_load(path.read_text())
    section = document
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(StudyFileError) as raised:
        read_configuration(path)
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_study_file_is_no_configuration(study_file):
    with pytest.raises(ConfigError, match="is a study file; export a configuration of the study first"):
        read_configuration(study_file(DATA))
