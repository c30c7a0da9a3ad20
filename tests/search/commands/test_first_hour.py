"""A newcomer's first hour: each command that is advised is run as it stands, each setting is set, and all leads on."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.training.full_training import train
from tests.support.command_run import Run
from tests.support.commands import NAMES, parse

DATA = "my photos"
TINY = "--canvas 64x64 --trials 2 --images 32 --weights none"

_COMMAND = re.compile(rf"frcnn-search (?:{NAMES})\b(?: '[^'\n]*'| [^\s,;`']+)*")
_SETTING = re.compile(r"set `(\w+): (\w+)` in the section `(\w+)`")
_OBJECT = (
    "<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
    "<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
)


class Newcomer:
    """Types what it is told, and nothing that it was not told."""

    def __init__(self, run: Callable[..., Run]) -> None:
        self._run = run
        self.settings: dict[str, str] = {}  # that were set so far

    def type(self, command: str, *, code: int = 0) -> str:
        """What the command says."""
        done = self._run(*shlex.split(command)[1:])
        said = done.out + done.err
        assert done.code == code, (command, said)
        assert "Traceback" not in said
        return said

    def set_what_is_advised(self, said: str, study_file: Path) -> None:
        """Each setting in the text, in the study file; at least one is new, or nothing would lead on."""
        new = {key: value for key, value, section in _SETTING.findall(said) if section == "data"}
        assert new.keys() - self.settings.keys(), f"nothing here leads on:\n{said}"
        self.settings |= new
        text = study_file.read_text()
        for key, value in new.items():
            text, count = re.subn(rf"(?m)^(  {key}:) \w+", rf"\1 {value}", text)
            assert count == 1, f"{key} does not stand in the study file once"
        study_file.write_text(text)


def advised(said: str, name: str = "") -> list[str]:
    """The commands in the text, or those of one name; each is one that there is."""
    found = _COMMAND.findall(said)
    for command in found:
        parse(shlex.split(command)[1:])
    return [command for command in found if command.startswith(f"frcnn-search {name}")]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """24 photographs with Pascal VOC: one truncated, one turned by its EXIF, a class in two spellings."""
    folder, generator = tmp_path / DATA, np.random.default_rng(0)
    for name in ("annots", "images"):
        (folder / name).mkdir(parents=True)
    for number in range(24):
        _write(folder, number, generator)
    cut = folder / "images" / "00007.jpg"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return folder


def _write(folder: Path, number: int, generator: np.random.Generator) -> None:
    """One photograph of a brown and a grey animal, each in its half of the picture."""
    pixels = generator.integers(190, 220, (72, 96, 3), dtype=np.uint8)
    objects = []
    for half, colour in enumerate(((180, 90, 40), (90, 90, 90))):
        side = int(generator.integers(20, 34))
        x, y = half * 48 + int(generator.integers(0, 48 - side)), int(generator.integers(0, 72 - side))
        pixels[y : y + side, x : x + side] = colour
        name = "wallaby" if half else "Kangaroo" if number in (5, 6) else "kangaroo"
        objects.append(_OBJECT.format(name=name, x1=x + 1, y1=y + 1, x2=x + side, y2=y + side))
    exif = Image.Exif()
    if number == 3:
        exif[0x0112] = 6  # to be turned by a quarter, which the annotations know nothing of
    Image.fromarray(pixels).save(folder / "images" / f"{number:05}.jpg", exif=exif)
    size = "<size><width>96</width><height>72</height><depth>3</depth></size>"
    (folder / "annots" / f"{number:05}.xml").write_text(
        f"<annotation><filename>{number:05}.jpg</filename>{size}{''.join(objects)}</annotation>"
    )


def begin(newcomer: Newcomer, photos: Path, study_file: Path) -> str:
    """From the doctor to a study that exists, obeying every refusal; what the last command said."""
    named = "" if study_file == Path("study.yaml") else f" {shlex.quote(str(study_file))}"
    examined = newcomer.type(f"frcnn-search doctor{named} --data {shlex.quote(DATA)}", code=2)
    assert all(finding in examined for finding in ("image-unreadable", "exif-rotation", "classes-alike"))
    (command,) = advised(examined, "launch")
    said = newcomer.type(f"{command} {TINY} --only-create", code=2)
    assert f"wrote {study_file}" in said
    for refused in (True, False):  # for the turned photograph, and for the truncated one
        newcomer.set_what_is_advised(said, study_file)
        examined = newcomer.type(f"frcnn-search doctor {shlex.quote(str(study_file))}", code=2 * refused)
        (command,) = advised(examined, "launch")
        said = newcomer.type(f"{command} --only-create", code=2 * refused)
    assert "use one spelling" in examined
    for file in (photos / "annots").iterdir():
        file.write_text(file.read_text().replace("Kangaroo", "kangaroo"))
    said = newcomer.type(f"{command} --only-create")
    assert "begins anew" in said
    assert "classes-alike" not in said
    (worker,) = advised(said, "worker")
    assert parse(shlex.split(worker)[1:])["study"] == DATA
    return newcomer.type(f"frcnn-search explain {shlex.quote(str(study_file))}")


def finish(newcomer: Newcomer, said: str, study_file: Path) -> str:
    """From a study without trials to its export, by what each command advises; the command that trains it."""
    (command,) = advised(said, "launch")
    said = newcomer.type(command)
    (export,), (training,) = advised(said, "export"), advised(said, "train")
    assert "wrote best.yaml" in newcomer.type(export)
    assert "best so far" in newcomer.type(f"frcnn-search status {shlex.quote(str(study_file))}")
    said = newcomer.type(f"frcnn-search explain {shlex.quote(str(study_file))}")
    for command in advised(said):
        newcomer.type(command)
    newcomer.type(f"frcnn-search explain {shlex.quote(str(study_file))} 0")
    return training


@pytest.mark.parametrize("name", ["study.yaml", "my study.yaml"])
def test_whatever_is_advised_in_the_first_hour_leads_on(
    run: Callable[..., Run], tmp_path: Path, photos: Path, name: str
) -> None:
    newcomer, study_file = Newcomer(run), tmp_path / name
    said = begin(newcomer, photos, study_file.relative_to(tmp_path))
    with study_file.open("a") as file:
        file.write("trainer: analytic\n")  # seconds in place of minutes; the data was looked at by then
    training = finish(newcomer, said, study_file.relative_to(tmp_path))
    asked = parse(shlex.split(training)[1:])
    configuration, output = Path(asked["configuration"]), Path(asked["output"])
    assert train(configuration, images=None, data=None, output=output, seed=None, trainer="analytic") == 0


@pytest.mark.slow
def test_whatever_is_advised_in_the_first_hour_leads_to_trained_weights(
    run: Callable[..., Run], tmp_path: Path, photos: Path
) -> None:
    newcomer, study_file = Newcomer(run), Path("study.yaml")
    training = finish(newcomer, begin(newcomer, photos, study_file), study_file)
    weights = re.findall(r"weights: (\S+)", newcomer.type(training))[0]
    newcomer.type(f"frcnn-search evaluate {weights} --data best.yaml")
    newcomer.type(f"frcnn-search predict {weights} {shlex.quote(f'{DATA}/images/00000.jpg')} --output found")
