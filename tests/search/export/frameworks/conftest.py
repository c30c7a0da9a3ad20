"""The configurations of tests/support/export_cases.py, as every framework has them."""

from pathlib import Path

import pytest

from detector.data.dataset import Dataset
from search.export.frameworks.recipe import Recipe, SplitFiles
from tests.support.export_cases import CASES, sample_datasets


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    return sample_datasets(tmp_path_factory.mktemp("sample"))


def recipe(name: str, **changes: int) -> Recipe:
    """One of the configurations, trained as long as its study says."""
    configuration = CASES[name]
    train, validation = (
        SplitFiles(annotations=f"{split}.json", images="../data/images", count=count, turned=0)
        for split, count in (("train", 6), ("validation", 3))
    )
    images = changes.get("images", configuration.provenance.budget_images)
    return Recipe(configuration=configuration, images=images, train=train, validation=validation)


@pytest.fixture(params=CASES)
def each(request: pytest.FixtureRequest) -> Recipe:
    """Each of the configurations."""
    return recipe(request.param)


@pytest.fixture
def awkward() -> Recipe:
    return recipe("awkward")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exported"
