from pathlib import Path

import pytest

from detector.data.dataset import Dataset, load_dataset
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 160 training images with discs, squares and triangles. Not to be changed."""
    folder = tmp_path_factory.mktemp("shapes")
    write_sample(folder, train=160, validation=2)
    return folder


@pytest.fixture(scope="session")
def train(shapes: Path) -> Dataset:
    return load_dataset(find_sources(shapes)[0])
