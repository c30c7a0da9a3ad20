"""The environments of the frameworks, each made once; versions that were tried together."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

TORCH = ("torch==2.14.1", "torchvision==0.29.1")
DETECTRON2_SOURCE = "DETECTRON2_SOURCE"  # the variable that names a checkout; there is no package of it


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What one framework's check needs."""

    format: str
    packages: tuple[str, ...]
    whole: bool = True  # False: exactly these packages, without what they ask for
    over: str = ""  # the format whose environment holds the rest; "ours" is this project's own
    variables: dict[str, str] = field(default_factory=dict)


ENVIRONMENTS = (
    Environment(format="torchvision", packages=(*TORCH, "pycocotools")),
    Environment(
        format="detectron2",
        over="torchvision",
        packages=(
            "fvcore==0.1.5.post20221221", "iopath==0.1.10", "yacs==0.1.8", "omegaconf==2.4.0", "cloudpickle",
            "portalocker", "tabulate", "termcolor", "tqdm", "pycocotools", "matplotlib", "tensorboard",
            "opencv-python-headless", "antlr4-python3-runtime", "PyYAML", "packaging", "cycler", "kiwisolver",
            "contourpy", "fonttools", "pyparsing", "python-dateutil", "six", "absl-py", "grpcio", "markdown",
            "protobuf", "werkzeug", "tensorboard-data-server", "setuptools<81",
        ),
        whole=False,
    ),
    Environment(
        format="mmdet",
        over="torchvision",
        packages=(
            "mmdet==3.3.0", "mmengine==0.10.7", "mmcv-lite==2.1.0", "addict", "yapf", "rich", "termcolor",
            "terminaltables", "shapely", "pycocotools", "opencv-python-headless", "scipy", "matplotlib", "platformdirs",
            "PyYAML", "packaging", "cycler", "kiwisolver", "contourpy", "fonttools", "pyparsing", "python-dateutil",
            "six", "markdown-it-py", "mdurl", "pygments", "regex", "tomli", "importlib-metadata", "zipp", "tqdm",
            "setuptools<81",
        ),
        whole=False,
    ),
    Environment(
        format="tf-od",
        over="ours",
        packages=(
            "tf-models-research-object-detection==2.8.0.post1", "tf-models-official==2.20.0", "tf-keras==2.21.0",
            "tf_slim==1.1.0", "lxml", "contextlib2", "pandas", "pytz", "Cython", "gin-config", "immutabledict",
            "opencv-python-headless", "setuptools<81",
        ),
        whole=False,
        variables={"TF_USE_LEGACY_KERAS": "1", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
    ),
    Environment(
        format="tfm",
        over="ours",
        packages=(
            "tf-models-official==2.20.0", "tf-keras==2.21.0", "gin-config", "tensorflow-model-optimization",
            "tensorflow-hub", "tensorflow-datasets", "immutabledict", "sentencepiece", "sacrebleu", "seqeval",
            "opencv-python-headless", "tf_slim==1.1.0", "pandas", "pytz", "dm-tree", "array-record", "etils", "fsspec",
            "importlib_resources", "zipp", "promise", "pyarrow", "simple_parsing", "docstring-parser",
            "tensorflow-metadata", "toml", "googleapis-common-protos", "portalocker", "regex", "tabulate", "colorama",
            "lxml", "scikit-learn", "joblib", "threadpoolctl", "Cython", "oauth2client", "py-cpuinfo", "kaggle",
            "google-api-python-client", "tensorflow-text", "setuptools<81",
        ),
        whole=False,
        variables={"TF_USE_LEGACY_KERAS": "1"},
    ),
)  # fmt: skip


def python_of(environment: Environment, folder: Path) -> Path:
    """The interpreter of the environment, which is made where it is not there."""
    home = folder / environment.format
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        venv.create(home, with_pip=True, clear=True)
        if environment.over:
            below = Path(sys.prefix) if environment.over == "ours" else folder / environment.over
            (_packages(home) / "below.pth").write_text(f"{_packages(below)}\n", encoding="utf-8")
        plain = [] if environment.whole else ["--no-deps"]
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *plain]
        subprocess.run([*install, *environment.packages], check=True)
        ready.touch()
    return python


def variables_of(environment: Environment) -> dict[str, str]:
    """The environment variables of its check."""
    source = os.environ.get(DETECTRON2_SOURCE, "")
    own = {"PYTHONPATH": source} if environment.format == "detectron2" else {}
    return {**os.environ, "PYTHONPATH": "", **environment.variables, **own}


def why_not(environment: Environment) -> str:
    """Why the check cannot be made; empty where it can."""
    if environment.format == "detectron2" and not os.environ.get(DETECTRON2_SOURCE):
        return f"{DETECTRON2_SOURCE} names no source"
    return ""


def _packages(home: Path) -> Path:
    return home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
