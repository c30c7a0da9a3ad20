"""The dashboard as a user has it: the command serves it, and a real headless Chromium shows the pages."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,2300",
)


@pytest.fixture
def address(study: optuna.Study, study_file: Path) -> Iterator[str]:
    """Where the command serves the hand-made study."""
    command = [sys.executable, "-c", "from search.command_line import main; main()", "dashboard", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("FRCNN_DASHBOARD_PASSWORD", None)
    with subprocess.Popen(
        command, cwd=study_file.parent, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline().strip()
        yield line
        server.terminate()
    assert line.startswith("http://127.0.0.1:")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with a profile of its own. Without one this is skipped, but not where CI is set."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        message = "needs Debian's chromium and chromium-driver"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    opened.set_page_load_timeout(PATIENCE_S)
    yield opened
    opened.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> Callable[..., str]:
    """Opens a page below the study's, waits until it shows every expected text, and gives back all its text."""

    def text() -> str:
        return str(browser.find_element(By.TAG_NAME, "body").text)

    def show(path: str, *expected: str) -> str:
        browser.get(address + path)
        WebDriverWait(browser, PATIENCE_S).until(
            lambda _: all(part in text() for part in expected), message=f"{path} never showed {expected}"
        )
        if folder := os.environ.get("FRCNN_SCREENSHOTS"):
            browser.save_screenshot(f"{folder}/{path.strip('/').replace('?', '-').replace('/', '-') or 'study'}.png")
        return text()

    return show


def test_the_pages_show_study_trials_intermediate_values_and_why_a_trial_diverged(
    page: Callable[..., str],
) -> None:
    page("", "blood cells", "Best Trial", "0.42", "COCO AP", "Intermediate values", "trial #3", "trial #5 (running)")
    page("/note", "Trial 0 is the reference", "a loss became non-finite or exploded")
    page("/analytics", "Hyperparameter Relationships", "Slice", "Contour")
    overview = page("/trials?numbers=2", "Trial 2", "loss_rpn_box")
    for expected in ("diverged: the RPN's box loss exploded", "at step 7, after 28 images", "0.0225", "Pruned"):
        assert expected in overview
    finished = page("/trials?numbers=3", "Trial 3 (", "Complete", "Intermediate Values", "batch_size 12")
    for images, ap in ((84, 0.11), (168, 0.25), (324, 0.42)):
        assert f"{images} {ap}" in finished
