"""The command itself: what it prints, its exit codes, and that no mistake of a user ends in a traceback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest

from search.study.specification import specification_to_json
from search.study.study_file import load_study_file
from storage.connection.database import Database
from storage.study import find_study, replace_specification
from tests.support.command_run import Run

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from search.command_line import main; main()"]
LIMIT_S = 120


def in_process(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", ["launch", "status", "export", "train", "dashboard", "sample-data", "doctor"])
def test_every_command_has_help(run: Callable[..., Run], command: str) -> None:
    helped = run(command, "--help")
    assert helped.code == 0
    assert "Usage" in helped.out


def test_help_groups_the_commands_by_what_they_are_about(run: Callable[..., Run]) -> None:
    words = run("--help").out.split()
    groups = {name: words.index(name) for name in ("Study", "Data", "Results")}
    of = {
        command: max((at, group) for group, at in groups.items() if at < words.index(command))[1]
        for command in (
            "launch",
            "worker",
            "status",
            "dashboard",
            "doctor",
            "sample-data",
            "explain",
            "export",
            "train",
        )
    }
    assert [command for command in of if of[command] == "Data"] == ["doctor", "sample-data"]
    assert [command for command in of if of[command] == "Results"] == ["export", "train"]


def test_help_fits_a_terminal_of_80_columns(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ((), ("launch",), ("worker",), ("explain",), ("predict",)):
        shown = run(*command, "--help").out
        assert max(map(len, shown.splitlines())) <= 80
        assert "…" not in shown.replace("IMAGE…", ""), "a word was cut off"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("frcnn-search ex", ["explain", "export"]),
        ("frcnn-search status ", ["blood.yaml", "other.yml"]),
        ("frcnn-search status blo", ["blood.yaml"]),
        ("frcnn-search train more/", ["more/best.yaml"]),
        ("frcnn-search status no", []),  # bash then offers every file, by `complete -o default`
        ("frcnn-search launch --ca", ["--canvas"]),
    ],
)
def test_a_shell_completes_commands_options_and_study_files(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    (tmp_path / "more").mkdir()
    for name in ("blood.yaml", "other.yml", "notes.txt", "my study.yaml", "more/best.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setenv("_FRCNN_SEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    assert run().out.split() == offered


def test_help_loads_neither_tensorflow_nor_optuna_nor_sqlalchemy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from search.command_line import main\n"
        "sys.argv = ['frcnn-search', 'launch', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as left:\n    assert left.code == 0, left.code\n"
        "heavy = {'tensorflow', 'keras', 'optuna', 'sqlalchemy', 'numpy', 'PIL'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_status_tells_how_the_study_stands(run: Callable[..., Run], study: optuna.Study) -> None:
    shown = run("status", "--ranking")
    assert shown.code == 0
    assert "best so far" in shown.out
    assert "trial 0: the reference, Detectron2's defaults\n" in shown.out


def test_the_ranking_tells_where_the_space_as_it_was_launched_excludes_a_default(
    run: Callable[..., Run], study: optuna.Study, database: Database, study_file: Path
) -> None:
    now = study_file.read_text()
    study_file.write_text(now.replace("[4, 8, 12, 16]", "[4, 8]").replace("high: 0.1", "high: 0.01"))
    launched = specification_to_json(load_study_file(study_file))
    replace_specification(find_study(database, study.study_name), launched)
    study_file.write_text(now)  # edited since
    shown = run("status", "--ranking").out
    assert "* trial 0: the reference, Detectron2's defaults, but lr_per_16 0.01 for 0.02, batch_size 8 for 16" in (
        " ".join(shown.split())
    )


def test_status_for_programs_is_one_json_object(run: Callable[..., Run], study: optuna.Study) -> None:
    told = json.loads(run("status", "--json").out)
    assert (told["best"]["ap"], told["finished"]) == (0.42, 5)


def test_export_writes_the_best_beside_the_study_file(run: Callable[..., Run], study: optuna.Study) -> None:
    exported = run("export")
    assert exported.code == 0
    assert "trial 3, AP 0.420" in exported.out
    assert Path("best.yaml").is_file()


def test_sample_data_is_the_same_for_the_same_seed(run: Callable[..., Run], tmp_path: Path) -> None:
    assert run("sample-data", "one", "--seed", 4).code == 0
    assert run("sample-data", "two", "--seed", 4).code == 0
    assert (tmp_path / "one" / "train.json").read_bytes() == (tmp_path / "two" / "train.json").read_bytes()


def test_ray_that_is_not_installed_is_said_before_the_data_is_read(
    run: Callable[..., Run], study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run("launch", study_file, "--engine", "ray")
    assert (result.code, result.out) == (2, "")
    assert "--engine ray needs Ray, which is not installed: pip install 'ray>=2.54'" in result.err


@contextmanager
def a_busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_busy_port_ends_the_process_with_2_and_a_plain_message(tmp_path: Path, study: optuna.Study) -> None:
    with a_busy_port() as port:
        done = in_process("dashboard", "--port", port, cwd=tmp_path)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_away_ends_the_process_with_75(tmp_path: Path) -> None:
    with a_busy_port() as port:
        pass  # free again: nobody listens there
    url = f"postgresql://ada:hush-hush@127.0.0.1:{port}/studies"
    (tmp_path / "study.yaml").write_text("{data: {folder: .}, storage: env:STUDY_URL}")
    done = in_process("status", cwd=tmp_path, STUDY_URL=url)
    assert done.returncode == 75, done.stderr
    assert "Traceback" not in done.stderr
    assert "hush-hush" not in done.stdout + done.stderr


def test_a_bug_of_ours_ends_with_1_and_its_traceback(tmp_path: Path) -> None:
    script = (
        "import detector.data.sample_data, search.command_line, sys\n"
        "def broken(*args, **options): raise RuntimeError('a bug')\n"
        "detector.data.sample_data.write_sample = broken\n"
        "sys.argv = ['frcnn-search', 'sample-data', 'new']\n"
        "search.command_line.main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: a bug" in done.stderr


def test_launch_on_a_folder_writes_a_study_file_that_reads_back_and_goes_on_with_the_same(
    run: Callable[..., Run], sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = []
    monkeypatch.setattr(
        "search.launch.launching.launch", lambda specification, **_: launched.append(specification) or 0
    )
    options = ("--data", sample, "--trials", 5, "--images", 480, "--canvas", "96x128", "--backbone", "resnet18")
    options += ("--name", "small", "--weights", "none")
    first = run("launch", "new.yaml", *options)
    assert (first.code, first.out.startswith("wrote new.yaml")) == (0, True)
    again = run("launch", "new.yaml", *options)
    assert (again.code, again.out) == (0, "")
    assert launched[0] == launched[1] == load_study_file(Path("new.yaml"))
    assert (launched[0].name, launched[0].budget.trials, launched[0].budget.images) == ("small", 5, 480)
    assert launched[0].detector.backbone == "resnet18"
    assert launched[0].data.folder == sample
    assert run("launch", "new.yaml", *options[:-1], "imagenet").code == 2
