"""The study files in examples/ are such files, and the commands in their heads exist."""

from pathlib import Path

import pytest

from search.study.study_file import load_study_file
from tests.support.commands import command_lines, parse

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.iterdir())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_a_study_file_whose_commands_exist_and_name_it(example: Path) -> None:
    specification = load_study_file(example)
    lines = list(command_lines(example.read_text(encoding="utf-8")))
    assert len(lines) >= 2
    for line in lines:
        parameters = parse(line)
        if "study" in parameters:
            assert (parameters["study"], parameters["storage"]) == (specification.name, specification.storage)
        elif parameters.get("data") is None:
            assert parameters["study_file"] == Path("examples", example.name)


def test_the_example_for_small_objects_starts_with_anchors_below_the_smallest_of_the_reference() -> None:
    specification = load_study_file(FOLDER / "small-objects.yaml")
    reference = specification.space.configuration(specification.space.reference())
    assert reference.anchors.sizes_px[0][0] <= 16  # px on P2, where Detectron2's is 32
