"""The pages of `explain` in a real headless Chromium without network: figures are drawn, nothing complains."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from search.explanation.charts import study_charts, trial_charts
from search.explanation.failing_images import thumbnails
from search.explanation.page import render_study, render_trial, write_page
from search.explanation.study_explanation import explain_study, training_data
from search.explanation.trial_explanation import explain_trial
from storage.connection.database import Database
from storage.study import find_study
from tests.search.dashboard.test_dashboard_pages import browser as browser
from tests.search.explanation.test_explain_command import EVIL, FAILED
from tests.support.planting import Sown, diverged, healthy, plant, planted_specification

RATES = [0.001 * 1.4**n for n in range(14)]


@pytest.fixture
def pages(tmp_path: Path, sample: Path) -> Iterator[dict[str, Path]]:
    """The page of a study with 14 healthy trials and 4 failures, and that of one failure."""
    specification = planted_specification(f"sqlite:///{tmp_path / 'pages.db'}", sample)
    trials: list[Sown] = [healthy(rate, ap=0.1 + 0.02 * n) for n, rate in enumerate(RATES)]
    with Database.open(specification.storage) as database:
        history = plant(database, specification, [*trials, diverged(0.1), diverged(0.09), diverged(0.095), FAILED])
        stored = find_study(database, specification.name)
        study, trial = explain_study(history), explain_trial(stored, history, len(trials) + 3)
    images = thumbnails(*training_data(history), trial.record.batch_images)
    files = {name: tmp_path / f"{name}.html" for name in ("study", "trial")}
    write_page(files["study"], render_study(study, study_charts(study)))
    write_page(files["trial"], render_trial(trial, trial_charts(trial), images))
    return files


def test_both_pages_open_without_network_scripts_or_complaints(
    pages: dict[str, Path], browser: webdriver.Chrome
) -> None:
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    expected = {
        "study": ("What to do next", "narrowed ranges", "learning rate too high", "Learning rate by batch size"),
        "trial": ("What to change", "warmup_fraction", "step by step", "train_0001.png", EVIL),
    }
    for name, file in pages.items():
        browser.get(file.as_uri())
        text = browser.find_element(By.TAG_NAME, "body").text
        for part in expected[name]:
            assert part in text
        drawn = browser.execute_script("return [...document.images].map(image => image.complete && image.naturalWidth)")
        assert len(drawn) >= 2
        assert all(width > 100 for width in drawn)
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [name for name in loaded if not name.startswith("data:")] == []
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
