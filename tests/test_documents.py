"""What the papers name exists: paths, modules, links, make's targets, rooms, commands."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from search.study.detector_section import DetectorSection
from search.study.study_file import load_study_file
from tests.support.commands import command_lines, parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("benchmarks", "detector", "search", "spaces", "storage", "tests", "trial")
PLACES = "|".join((*PACKAGES, "docs", "examples"))
PATH = re.compile(rf"(?<![\w/.-])(?:{PLACES})/[\w./-]*")
DOTTED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(PACKAGES)})(?:\.\w+)+(?!\w*[/(])")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
SUFFIXES = ("html", "json", "jsonl", "md", "url", "yaml")  # of files whose names look like modules
STUDY_KEYS = {f"detector.{field.name}" for field in fields(DetectorSection)}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def exists(path: str) -> bool:
    """A file or folder of the repository, or the beginning of one's name, as in docs/decisions/0010."""
    place = ROOT / path.rstrip(".")
    return place.exists() or any(place.parent.glob(f"{place.name}-*"))


def named(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """What the statements define, each with its own body."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node.body
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, []) for target in targets if isinstance(target, ast.Name))


def defined(dotted: str) -> bool:
    """Whether a package, a module, or something that one defines has this name; nothing is imported."""
    place, parts = ROOT, dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    module = place / f"{parts.pop(0)}.py"
    if not module.is_file():
        return False
    body = ast.parse(read(module)).body
    for part in parts:
        found = dict(named(body))
        if part not in found:
            return False
        body = found[part]
    return True


def anchor(title: str) -> str:
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def rooms_drawn(tree: str) -> set[str]:
    """The folders of a drawn tree, whole: a line is a folder and what it is for, two spaces deeper in its parent."""
    rooms: set[str] = set()
    above: list[str] = []
    for spaces, name in re.findall(r"^( *)(\w+)/ ", tree, flags=re.MULTILINE):
        above[len(spaces) // 2 :] = [name]
        rooms.add("/".join(above))
    return rooms


@each_page
def test_every_path_on_a_page_exists(page: Path) -> None:
    assert [path for path in PATH.findall(read(page)) if not exists(path)] == []


@each_page
def test_every_module_on_a_page_exists(page: Path) -> None:
    names = {name for name in DOTTED.findall(read(page)) if name.rpartition(".")[2] not in SUFFIXES} - STUDY_KEYS
    assert [name for name in sorted(names) if not defined(name)] == []


@each_page
def test_every_link_on_a_page_leads_somewhere(page: Path) -> None:
    for target, fragment in LINK.findall(read(page)):
        place = page.parent / target if target else page
        assert place.exists(), f"{page.name} links to {target}"
        if fragment:
            titles = re.findall(r"^#+ (.*)$", read(place), flags=re.MULTILINE)
            assert fragment in {anchor(title) for title in titles}, f"{page.name} links to {target}#{fragment}"


@each_page
def test_every_target_of_make_on_a_page_exists(page: Path) -> None:
    there = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", read(page), flags=re.MULTILINE)) - there == set()


@each_page
def test_every_command_on_a_page_is_understood_by_the_command_line(page: Path) -> None:
    for line in command_lines(read(page)):
        parse(line)


def test_every_study_file_in_the_readme_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", read(ROOT / "README.md"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for text in blocks:
        file = tmp_path / "study.yaml"
        file.write_text(text, encoding="utf-8")
        load_study_file(file)


def test_the_readme_names_every_option_of_launch() -> None:
    told = read(ROOT / "README.md")
    options = {f"--{name.replace('_', '-').rstrip('-')}" for name in parse(["launch"]) if name != "study_file"}
    assert {option for option in options if not re.search(rf"{option}\b", told)} == set()


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").iterdir()), ids=lambda file: file.name)
def test_a_picture_is_small_and_shown_on_a_page(picture: Path) -> None:
    assert picture.stat().st_size < 150_000
    assert any(f"pictures/{picture.name})" in read(page) for page in PAGES)


def test_the_issue_form_asks_for_commands_that_exist() -> None:
    form = yaml.safe_load(read(ROOT / ".github" / "ISSUE_TEMPLATE" / "problem.yml"))
    lines = [line for field in form["body"] for line in command_lines(field["attributes"]["label"])]
    assert [(line[0], parse(line)["as_json"]) for line in lines] == [("doctor", True), ("status", True)]


def test_the_architecture_draws_every_package_once() -> None:
    drawn = rooms_drawn(read(ROOT / "docs" / "architecture.md").split("```")[1])
    homes = [ROOT / name for name in PACKAGES if name != "tests"]
    packages = {str(file.parent.relative_to(ROOT)) for home in homes for file in home.rglob("__init__.py")}
    assert packages - drawn == set()
    assert {room for room in drawn if not (ROOT / room).is_dir()} == set()


@pytest.mark.parametrize(
    ("dotted", "there"),
    [
        ("search.worker", True),
        ("detector.training.trainer", True),
        ("detector.training.trainer.Trainer.advance", True),
        ("detector.training.trainer.Trainer.retreat", False),
        ("detector.training.coach", False),
        ("search.plan.Plan.nothing", False),
    ],
)
def test_these_tests_would_notice(dotted: str, there: bool) -> None:
    assert defined(dotted) is there
