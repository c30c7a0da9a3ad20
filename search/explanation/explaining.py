"""The command `explain`: reads, explains, confirms where asked, and writes text, JSON or a page."""

import json
from dataclasses import dataclass
from pathlib import Path

import optuna
from rich.console import Console
from rich.text import Text

from detector.config import ConfigError
from detector.data.formats.annotation import DataError
from search.explanation.confirmation import Confirmation, confirm
from search.explanation.embedded_image import EmbeddedImage
from search.explanation.explanation_text import confirmation_report, explanation_json, print_explanation
from search.explanation.failing_images import thumbnails
from search.explanation.study_explanation import StudyExplanation, explain_study, training_data
from search.explanation.trial_explanation import TrialExplanation, explain_trial
from search.explanation.trial_history import Casebook, read_casebook
from search.signals import stop_signals
from search.study.specification import Specification
from search.worker.process import secrets_of
from storage.connection.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user asked for."""

    trial: int | None = None
    confirm: bool = False
    images: int | None = None  # of a replay
    html: Path | None = None
    as_json: bool = False
    with_data: bool = True


def explain(
    database: Database, specification: Specification, wanted: Wanted, *, folder: Path, console: Console
) -> None:
    """Print the explanation of a study or of one trial, and write its page.

    Raises:
        ConfigError: there is no such trial, nothing to confirm, or the page can't be written.
        StorageError: there is no such study.
        KeyboardInterrupt: a replay was stopped.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    casebook = read_casebook(database, specification)
    if wanted.trial is None:
        if wanted.confirm:
            raise ConfigError("--confirm needs the number of a trial: frcnn-search explain STUDY_FILE TRIAL --confirm")
        _tell_study(explain_study(casebook, with_data=wanted.with_data), wanted, console)
        return
    explanation = explain_trial(database, casebook, wanted.trial)
    if wanted.confirm and not wanted.as_json:
        print_explanation(explanation, console)
        console.print(Text("\nreplaying the trial, and then its repair …"))
    confirmation = _confirm(casebook, explanation, wanted, folder) if wanted.confirm else None
    _tell_trial(casebook, explanation, confirmation, wanted, console)


def _confirm(casebook: Casebook, explanation: TrialExplanation, wanted: Wanted, folder: Path) -> Confirmation:
    with stop_signals(_at_once) as stop:
        return confirm(
            casebook,
            explanation,
            folder=folder,
            images=wanted.images,
            stop=stop,
            withheld=secrets_of(casebook.specification.storage),
        )


def _at_once() -> None:
    raise KeyboardInterrupt


def _tell_study(explanation: StudyExplanation, wanted: Wanted, console: Console) -> None:
    if wanted.as_json:
        console.file.write(explanation_json(explanation) + "\n")
    else:
        print_explanation(explanation, console)
    if wanted.html is not None:
        from search.explanation.charts import study_charts  # loads matplotlib, which takes a second
        from search.explanation.page import render_study, write_page

        write_page(wanted.html, render_study(explanation, study_charts(explanation)))


def _tell_trial(
    casebook: Casebook,
    explanation: TrialExplanation,
    confirmation: Confirmation | None,
    wanted: Wanted,
    console: Console,
) -> None:
    if wanted.as_json:
        whole = {**explanation.to_json(), "confirmation": confirmation.to_json() if confirmation else None}
        console.file.write(json.dumps(whole, indent=2, allow_nan=False) + "\n")
    elif confirmation is not None:
        console.print(confirmation_report(confirmation))
    else:
        print_explanation(explanation, console)
    if wanted.html is not None:
        from search.explanation.charts import replay_chart, trial_charts
        from search.explanation.page import render_trial, write_page

        replay = replay_chart(confirmation) if confirmation else None
        images = _failing_images(casebook, explanation) if wanted.with_data else []
        page = render_trial(explanation, trial_charts(explanation), images, confirmation, replay)
        write_page(wanted.html, page)


def _failing_images(casebook: Casebook, explanation: TrialExplanation) -> list[EmbeddedImage]:
    names = explanation.case.batch_images
    if not names:
        return []
    try:
        train, canvas = training_data(casebook)
    except DataError:  # their names stand there all the same
        return []
    return thumbnails(train, canvas, names)
