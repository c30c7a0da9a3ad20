"""The command `explain`: reads, explains, confirms where asked, and writes text, JSON or a page."""

import json
from dataclasses import dataclass
from pathlib import Path

import optuna
from rich.text import Text

from detector.config import ConfigError
from detector.data.formats.annotation import DataError
from search.explanation.confirmation import Confirmation, confirm
from search.explanation.embedded_image import EmbeddedImage
from search.explanation.explanation_text import confirmation_report, explanation_json, print_explanation
from search.explanation.failing_images import thumbnails
from search.explanation.study_edit import NewStudy
from search.explanation.study_explanation import StudyExplanation, explain_study, training_data
from search.explanation.trial_explanation import TrialExplanation, explain_trial
from search.report.trial_history import TrialHistory, read_trial_history
from search.signals import stop_signals
from search.study.default_file import DEFAULT_STUDY_FILE
from search.study.specification import Specification
from search.terminal import PlainConsole, visible
from storage.connection.address import secret_variables
from storage.study import StoredStudy, study_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    trial: int | None = None
    confirm: bool = False
    images: int | None = None  # of a replay
    html: Path | None = None
    as_json: bool = False
    with_data: bool = True
    study_file: Path = DEFAULT_STUDY_FILE  # as the user names it, for advice


def explain(
    study: StoredStudy, specification: Specification, options: Options, *, folder: Path, console: PlainConsole
) -> None:
    """Print the explanation of a study or of one trial, and write its page.

    Raises:
        ConfigError: there is no such trial, nothing to confirm, or the page can't be written.
        KeyboardInterrupt: a replay was stopped.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    history = read_trial_history(study, specification)
    if options.trial is None:
        if options.confirm:
            raise ConfigError("--confirm needs the number of a trial: frcnn-search explain STUDY_FILE TRIAL --confirm")
        new_study = NewStudy.after(history, options.study_file, study_names(study.database))
        _write_study(explain_study(history, with_data=options.with_data, new_study=new_study), options, console)
        return
    explanation = explain_trial(study, history, options.trial, file=options.study_file)
    if options.confirm and not options.as_json:
        print_explanation(explanation, console)
        console.print(Text("\nreplaying the trial, and then its repair …"))
    confirmation = _confirm(history, explanation, options, folder) if options.confirm else None
    _write_trial(history, explanation, confirmation, options, console)


def _confirm(history: TrialHistory, explanation: TrialExplanation, options: Options, folder: Path) -> Confirmation:
    with stop_signals(_at_once) as stop:
        return confirm(
            history,
            explanation,
            folder=folder,
            images=options.images,
            stop=stop,
            withheld=secret_variables(history.specification.storage),
        )


def _at_once() -> None:
    raise KeyboardInterrupt


def _write_study(explanation: StudyExplanation, options: Options, console: PlainConsole) -> None:
    if options.as_json:
        console.file.write(visible(explanation_json(explanation)) + "\n")
    else:
        print_explanation(explanation, console)
    if options.html is not None:
        from search.explanation.charts import study_charts  # loads matplotlib, which takes a second
        from search.explanation.page import render_study, write_page

        write_page(options.html, render_study(explanation, study_charts(explanation)))


def _write_trial(
    history: TrialHistory,
    explanation: TrialExplanation,
    confirmation: Confirmation | None,
    options: Options,
    console: PlainConsole,
) -> None:
    if options.as_json:
        whole = {**explanation.to_json(), "confirmation": confirmation.to_json() if confirmation else None}
        console.file.write(visible(json.dumps(whole, indent=2, allow_nan=False)) + "\n")
    elif confirmation is not None:
        console.print(confirmation_report(confirmation))
    else:
        print_explanation(explanation, console)
    if options.html is not None:
        from search.explanation.charts import replay_chart, trial_charts
        from search.explanation.page import render_trial, write_page

        replay = replay_chart(confirmation) if confirmation else None
        images = _failing_images(history, explanation) if options.with_data else []
        page = render_trial(explanation, trial_charts(explanation), images, confirmation, replay)
        write_page(options.html, page)


def _failing_images(history: TrialHistory, explanation: TrialExplanation) -> list[EmbeddedImage]:
    names = explanation.record.batch_images
    if not names:
        return []
    try:
        train, canvas = training_data(history)
    except DataError:  # their names stand there all the same
        return []
    return thumbnails(train, canvas, names)
