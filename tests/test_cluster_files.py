"""docs/clusters.md and the files beside it: complete, well-formed, and made of commands that exist."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.study.study_file import load_study_file
from search.worker.local_paths import CACHE, DATA_ROOT
from tests.support.commands import UsageError, command_lines, parse

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "clusters.md"
FILES = sorted((ROOT / "docs" / "clusters").iterdir())
SCRIPTS = [file for file in FILES if file.suffix in (".sh", ".sbatch")]
MANIFESTS = [file for file in FILES if file.suffix == ".yaml"]


def containers(manifest: Path) -> Iterator[dict[str, Any]]:
    for document in yaml.safe_load_all(manifest.read_text()):
        if document["kind"] == "Job":
            yield from document["spec"]["template"]["spec"]["containers"]


def job(manifest: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "docs" / "clusters" / manifest).read_text())
    (found,) = [document for document in documents if document["kind"] == "Job"]
    return found


def test_the_page_holds_every_file_as_it_lies_beside_it():
    page = PAGE.read_text()
    for file in FILES:
        assert f"]({file.parent.name}/{file.name})" in page
        assert f"\n{file.read_text()}```" in page, f"{file.name} was changed; put the same into docs/clusters.md"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_scripts_are_bash(script):
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_in_page_and_files_is_understood_by_the_command_line():
    lines = [line for file in [PAGE, *SCRIPTS, *MANIFESTS] for line in command_lines(file.read_text())]
    lines += [c["command"][1:] for manifest in MANIFESTS for c in containers(manifest)]
    assert len(lines) >= 12
    assert {line[0] for line in lines} == {"launch", "worker"}
    for line in lines:
        parse(line)
    with pytest.raises(UsageError):
        parse(["worker", "--storage", "env:S", "--study", "s", "--data-rot", "/data"])  # this test would notice


def test_each_file_runs_a_worker_or_a_launch_with_a_reference_to_the_storage():
    """And no file holds, or puts onto a command line, an address with a password."""
    for file in [*SCRIPTS, *MANIFESTS]:
        for line in command_lines(file.read_text()):
            if line[0] == "worker":
                assert parse(line)["storage"].startswith(("env:", "file:"))
    page = PAGE.read_text()
    assert re.findall(r"--storage[ =](?!\"?(?:env:|file:))\S+", page.replace("--storage, ", "--storage ")) == []


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda file: file.name)
def test_manifests_name_what_they_use(manifest):
    for document in yaml.safe_load_all(manifest.read_text()):
        assert {"apiVersion", "kind", "metadata"} <= set(document)
        if document["kind"] != "Job":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # podFailurePolicy asks for it
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["command"][0] == "frcnn-search"  # no shell that would keep a signal to itself
            names = {rule["onExitCodes"]["containerName"] for rule in rules(document) if "onExitCodes" in rule}
            assert names == {container["name"]}
            variables = [variable["name"] for variable in container["env"]]
            reference = next((a for a in container["command"] if a.startswith("env:")), "env:STUDY_STORAGE")
            assert reference.removeprefix("env:") in variables


def rules(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document["spec"]["podFailurePolicy"]["rules"]


def test_kubernetes_treats_our_exit_codes_as_they_are_meant():
    workers = job("kubernetes-workers.yaml")
    by_code = {
        code: rule["action"]
        for rule in rules(workers)
        if "onExitCodes" in rule
        for code in rule["onExitCodes"]["values"]
    }
    assert by_code == {75: "Ignore", 2: "FailJob"}
    assert "completions" not in workers["spec"]
    pod = workers["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 30  # ten seconds of checkpoint, and a slow disk
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {DATA_ROOT, CACHE} <= {variable["name"] for variable in container["env"]}


def test_the_image_gets_every_package_that_is_installed():
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "docs" / "clusters" / "Dockerfile").read_text(), flags=re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(copied) == {package.partition(".")[0] for package in project["tool"]["setuptools"]["packages"]}


def test_the_study_file_in_the_config_map_is_one(tmp_path):
    documents = yaml.safe_load_all((ROOT / "docs" / "clusters" / "kubernetes-study.yaml").read_text())
    (text,) = [document["data"]["study.yaml"] for document in documents if document["kind"] == "ConfigMap"]
    file = tmp_path / "study.yaml"
    file.write_text(text)
    specification = load_study_file(file)
    (container,) = containers(ROOT / "docs" / "clusters" / "kubernetes-workers.yaml")
    assert parse(container["command"][1:])["study"] == specification.name
    assert specification.storage == parse(container["command"][1:])["storage"]


def test_slurm_requeues_at_75_and_signals_the_worker_in_time():
    text = (ROOT / "docs" / "clusters" / "slurm.sbatch").read_text()
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(\S*)", text, flags=re.MULTILINE))
    signal, _, seconds = options["signal"].partition("@")
    assert signal == "USR1"  # without `B:`, which would signal this script alone
    assert int(seconds) >= 60
    assert "requeue" in options
    after = text[text.index("code=$?") :]
    assert re.search(
        r'-eq 75 \]; then\n\s+scontrol requeue "\$\{SLURM_ARRAY_JOB_ID\}_\$\{SLURM_ARRAY_TASK_ID\}"', after
    )


def test_the_slurm_script_asks_for_another_turn_after_75_only(tmp_path):
    """Run with stand-ins for srun and scontrol, and a virtual environment that is empty."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").write_text("")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "srun").write_text('#!/bin/sh\necho "$@" > "$SRUN_SAW"\nexit "$WORKER_CODE"\n')
    (folder / "scontrol").write_text('#!/bin/sh\necho "$@"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    for code, asked in ((75, "requeue 7_3\n"), (0, ""), (2, ""), (1, "")):
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "WORKER_CODE": str(code),
            "SRUN_SAW": str(tmp_path / "saw"),
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_CPUS_PER_TASK": "8",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": "3",
        }
        script = ROOT / "docs" / "clusters" / "slurm.sbatch"
        done = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (code, asked, "")
        arguments = shlex.split((tmp_path / "saw").read_text())
        worker = parse(arguments[arguments.index("frcnn-search") + 1 :])
        assert worker["storage"] == f"file:{tmp_path}/storage.url"
        assert worker["folder"] == tmp_path
