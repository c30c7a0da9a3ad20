"""Files in a folder: their heads, what is replaced and what is not, the record, the warnings."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from detector.config import ConfigError
from detector.data.dataset import Dataset
from search.export.frameworks.exporting import FRAMEWORKS, Written, write_frameworks
from search.export.frameworks.head import WRITTEN
from tests.search.export.frameworks.test_traps import hostile
from tests.support.export_cases import CASES

Pair = tuple[Dataset, Dataset]


def write(case: str, datasets: Pair, folder: Path, *formats: str, name: str | None = None) -> Written:
    chosen = formats or tuple(FRAMEWORKS)
    return write_frameworks(CASES[case], datasets, chosen, folder=folder, name=name, images=None)


def test_each_file_begins_with_whose_it_is(datasets: Pair, folder: Path) -> None:
    for file in write("awkward", datasets, folder).files:
        assert WRITTEN in file.read_text()[:200]


def test_a_head_says_where_the_file_comes_from_and_lists_every_key_once(datasets: Pair, folder: Path) -> None:
    write("awkward", datasets, folder)
    record = json.loads((folder / "export.json").read_text())["exports"]
    for format, framework in FRAMEWORKS.items():
        text = (folder / framework.files[0]).read_text()
        head = [line for line in text.splitlines() if line.startswith("#")]
        assert "# Study blood cells, trial 3: AP 0.420 ± 0.012 after 324 images." in head
        assert "# Canvas 96x128; schedule: 10049 images = 838 iterations of 12." in head
        words = " ".join(head).split()
        assert all(words.count(key) >= 1 for key in record[format]["keys"])
        for key, note in record[format]["keys"].items():
            if note != "exact":
                assert any(line.startswith(f"#   {key} = ") for line in head)


def test_every_file_is_of_its_language(datasets: Pair, folder: Path) -> None:
    for file in write("awkward", datasets, folder).files:
        text = file.read_text()
        match file.suffix:
            case ".py":
                ast.parse(text)
            case ".yaml":
                assert isinstance(yaml.safe_load(text), dict)
            case ".json":
                json.loads(text)


def test_the_record_has_what_a_program_needs(datasets: Pair, folder: Path) -> None:
    write("adam", datasets, folder, "tf-od")
    entry = json.loads((folder / "export.json").read_text())["exports"]["tf-od"]
    assert (entry["format"], entry["framework_version_tested"], entry["iterations"]) == ("tf-od", "2.8.0.post1", 100)
    assert entry["keys"]["anchors.sizes_px"] == "exact"
    assert entry["keys"]["low_quality_matches"].startswith("not expressed: ")
    assert entry["files"] == ["pipeline.config", "label_map.pbtxt"]


def test_a_second_format_joins_the_record_of_the_first(datasets: Pair, folder: Path) -> None:
    write("awkward", datasets, folder, "mmdet")
    write("awkward", datasets, folder, "tfm")
    assert set(json.loads((folder / "export.json").read_text())["exports"]) == {"mmdet", "tfm"}


def test_an_export_replaces_an_export_and_nothing_else(datasets: Pair, folder: Path) -> None:
    write("awkward", datasets, folder)
    write("defaults", datasets, folder)
    assert "90000 iterations of 16" in (folder / "tfm.yaml").read_text()
    (folder / "train.json").write_text('{"images": ["ten years of work"]}')
    before = (folder / "tfm.yaml").read_text()
    with pytest.raises(ConfigError, match=r"train\.json is there and is not an export"):
        write("awkward", datasets, folder)
    assert (folder / "tfm.yaml").read_text() == before
    assert "ten years" in (folder / "train.json").read_text()


def test_a_detector_that_a_format_cannot_say_is_refused_and_nothing_is_written(datasets: Pair, folder: Path) -> None:
    for format in ("mmdet", "tfm"):
        with pytest.raises(ConfigError, match="it would be another detector"):
            write("adam", datasets, folder, format)
    assert not folder.exists()


def test_of_all_formats_those_that_can_are_written_and_the_others_named(datasets: Pair, folder: Path) -> None:
    written = write("adam", datasets, folder)
    assert not (folder / "mmdet_config.py").exists()
    assert (folder / "torchvision_train.py").exists()
    assert any(warning.startswith("mmdet: not written: ") for warning in written.warnings)


def test_a_small_backbone_is_written_for_all_but_the_framework_that_lacks_it(datasets: Pair, folder: Path) -> None:
    written = write("resnet18", datasets, folder)
    record = json.loads((folder / "export.json").read_text())["exports"]
    assert set(record) == set(FRAMEWORKS) - {"tf-od"}
    assert record["tfm"]["keys"]["detector.backbone"].startswith("approximate: its own ResNet-18")
    assert [each.partition(", ")[0] for each in written.warnings if "not written" in each] == [
        "tf-od: not written: tf-od has no ResNet-18"
    ]


def test_what_a_format_cannot_say_is_warned_of(datasets: Pair, folder: Path) -> None:
    warnings = write("awkward", datasets, folder, "tf-od").warnings
    assert "tf-od: rpn_positive_iou = 0.66 is not expressed: fixed at 0.7 there" in warnings
    assert write("awkward", datasets, folder, "torchvision").warnings == ()


def test_the_first_file_may_have_another_name_which_the_others_know(datasets: Pair, folder: Path) -> None:
    written = write("defaults", datasets, folder, "detectron2", name="my config.yaml")
    script = (folder / "detectron2_train.py").read_text()
    assert "CONFIG_FILE = 'my config.yaml'" in script
    assert written.files[0].name == "my config.yaml"
    assert "together with my config.yaml" in script.splitlines()[0]


def test_no_name_of_the_user_s_leaves_its_comment(datasets: Pair, folder: Path) -> None:
    made = replace(hostile().configuration, classes=CASES["defaults"].classes)
    for file in write_frameworks(made, datasets, tuple(FRAMEWORKS), folder=folder, name=None, images=None).files:
        if file.suffix in (".py", ".yaml", ".config"):
            assert "import os\n" not in file.read_text().split('"""')[0].replace("# ", "")
            assert not any(line.startswith(("import os", "'''", "*/")) for line in file.read_text().splitlines())


def test_a_folder_that_cannot_be_made_is_the_user_s_to_change(datasets: Pair, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written .*; choose another --output"):
        write("defaults", datasets, tmp_path / "file" / "below")
