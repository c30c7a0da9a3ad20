"""Files that describe a study, or its best configuration."""

import json
from pathlib import Path

from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.study.data_section import Data
from search.study.document import read_document
from search.study.imported_section import ImportedKey, ImportedSection
from search.study.specification import specification_from_json, specification_to_json
from search.study.study_file import Options, default_study_text, load_study_file
from search.study.study_text import study_text
from storage.connection.address import Address
from tests.support.fuzz.target import DETECTOR, Target, written


def _study_seeds(folder: Path) -> list[bytes]:
    write_sample(folder / "data", train=2, validation=1)
    data = {"folder": str(folder / "data")}
    imported = ImportedSection(
        file="config.yaml", framework="Detectron2", hyperparameters=Hyperparameters(lr_per_16=0.16, batch_size=2),
        findings=("error rate: too high",), keys={"lr_per_16": ImportedKey(key="SOLVER.BASE_LR", line=3, value="0.02")},
    )  # fmt: skip
    texts = [default_study_text(data, Options()), default_study_text(data, Options(), imported)]
    plain, theirs = (text.replace(str(folder), ".").encode() for text in texts)  # the same on every machine
    explicit = {
        "name": "cells", "storage": "sqlite:///a.db", "workers": 2,
        "data": {"train": {"images": "i", "annotations": "a.json"}, "validation_share": 0.1},
        "detector": {"canvas": "96x128", "weights": "w.h5", "micro_batch": 2},
        "space": {"lr_per_16": {"low": 1e-4, "high": 0.1, "log": True}, "batch_size": [4, 8], "optimizer": "sgd",
                  "anchors": {"sizes_px": [16, 32, 64, 128, 256], "ratios": [0.5, 1, 2]}},
        "derived": {"lr_per_16": 0.01}, "budget": {"trials": 4, "images": 320, "rungs": [80, 160, 320]},
        "sampler": {"name": "tpe", "seed": 3}, "pruner": {"name": "median", "reduction_factor": 2},
    }  # fmt: skip
    return [plain, theirs, json.dumps(explicit).encode(), json.dumps({**explicit, "space": {}}).encode()]


def _read_study(content: bytes, folder: Path) -> None:
    specification = load_study_file(written(folder / "study.yaml", content))
    Address.parse(specification.storage)
    study_text(specification)
    if specification.imported is not None:
        specification.hyperparameters(0, specification.first_point)
    specification_from_json(json.loads(json.dumps(specification_to_json(specification))), storage="sqlite:///a.db")


def _best_seeds(folder: Path) -> list[bytes]:
    provenance = Provenance(
        study="cells", trial=3, ap=0.25, images=320, budget_images=320, seed=1, code_version="1",
        dataset_fingerprint="a", exported_at="2026-01-01T00:00:00Z", packages={"keras": "3"},
    )  # fmt: skip
    configuration = Configuration(
        hyperparameters=Hyperparameters(), detector=DETECTOR,
        classes=("cat", "dog"), data=Data(folder=Path("data")), provenance=provenance,
    )  # fmt: skip
    write_configuration(folder / "best.yaml", configuration)

    return [(folder / "best.yaml").read_bytes(), json.dumps(read_document(folder / "best.yaml")).encode()]


def _read_best(content: bytes, folder: Path) -> None:
    read_configuration(written(folder / "best.yaml", content))


TARGETS = (
    Target(name="study", seeds=_study_seeds, read=_read_study),
    Target(name="best", seeds=_best_seeds, read=_read_best),
)
