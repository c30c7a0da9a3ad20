import math
from dataclasses import asdict, replace

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.records import RungRecord
from storage.study import find_study
from storage.telemetry import (
    append_telemetry,
    count_rungs,
    latest_points,
    read_rungs,
    read_telemetry,
    record_rung,
)
from trial.reports import RungReport, TelemetryPoint

RUNG = RungReport(images=64, step=4, ap=0.25, metrics={"ap50": 0.5, "ar": math.nan}, training_s=1.5, evaluation_s=0.5)


def kept(trial: int, **changed: float) -> RungRecord:
    """The rung as it comes back from storage."""
    return RungRecord(trial=trial, **{**asdict(RUNG), **changed})


def point(step: int, **figures: float) -> TelemetryPoint:
    return TelemetryPoint(step=step, images=16 * step, figures=figures)


@pytest.fixture(autouse=True)
def _two_trials(study: optuna.Study) -> None:
    study.ask()
    study.ask()


class TestTelemetry:
    def test_comes_back_by_step_and_trial(self, database: Database) -> None:
        append_telemetry(find_study(database, "cells"), 0, [point(2, loss=0.5), point(1, loss=1.0)])
        append_telemetry(find_study(database, "cells"), 0, [])
        append_telemetry(find_study(database, "cells"), 1, [point(1, loss=9.0)])
        assert read_telemetry(find_study(database, "cells"), 0) == [point(1, loss=1.0), point(2, loss=0.5)]
        assert read_telemetry(find_study(database, "cells"), 1) == [point(1, loss=9.0)]

    def test_of_a_resumed_trial_replaces_the_steps_that_it_repeats(self, database: Database) -> None:
        append_telemetry(find_study(database, "cells"), 0, [point(1, loss=3.0), point(2, loss=2.0), point(3, loss=1.0)])
        append_telemetry(find_study(database, "cells"), 0, [point(3, loss=1.5), point(4, rpn=0.5)])
        assert read_telemetry(find_study(database, "cells"), 0) == [
            point(1, loss=3.0), point(2, loss=2.0), point(3, loss=1.5), point(4, rpn=0.5)
        ]  # fmt: skip

    def test_ends_with_the_latest_point_of_each_trial(self, database: Database) -> None:
        append_telemetry(
            find_study(database, "cells"), 0, [point(2, loss=0.5), point(10, loss=0.1), point(9, loss=0.2)]
        )
        append_telemetry(find_study(database, "cells"), 1, [point(3, loss=9.0)])
        assert latest_points(find_study(database, "cells"), [0, 1, 7]) == {
            0: point(10, loss=0.1),
            1: point(3, loss=9.0),
        }
        assert latest_points(find_study(database, "cells"), [1]) == {1: point(3, loss=9.0)}
        assert latest_points(find_study(database, "cells"), []) == {}

    def test_needs_its_trial(self, database: Database) -> None:
        with pytest.raises(StorageError, match="study 'cells' has no trial 2"):
            append_telemetry(find_study(database, "cells"), 2, [point(1)])

    @given(figures=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.floats()))
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_keeps_every_float_under_every_name(self, database: Database, figures: dict[str, float]) -> None:
        append_telemetry(find_study(database, "cells"), 0, [TelemetryPoint(step=1, images=16, figures=figures)])
        (back,) = read_telemetry(find_study(database, "cells"), 0)
        assert repr(back.figures) == repr(figures)  # repr tells -0.0 from 0.0 and finds NaN equal to itself

    def test_stays_readable_for_sql_when_a_loss_is_not_finite(self, database: Database) -> None:
        append_telemetry(find_study(database, "cells"), 0, [point(1, loss=math.inf, lr=0.5)])
        lr = "json_extract(figures, '$.lr')" if database.engine.dialect.name == "sqlite" else "figures::jsonb->'lr'"
        with database.reading() as connection:
            value = connection.exec_driver_sql(f"SELECT {lr} FROM frcnn_telemetry").scalar_one()
        assert value == 0.5


class TestRungs:
    def test_come_back_by_trial_and_images(self, database: Database) -> None:
        rungs = [kept(trial, images=images) for trial, images in ((0, 64), (0, 128), (1, 64))]
        for trial, images in ((1, 64), (0, 128), (0, 64)):
            record_rung(find_study(database, "cells"), trial, replace(RUNG, images=images))
        assert repr(read_rungs(find_study(database, "cells"))) == repr(rungs)
        assert repr(read_rungs(find_study(database, "cells"), 0)) == repr(rungs[:2])
        assert read_rungs(find_study(database, "cells"), 7) == []

    def test_are_counted_by_trial(self, database: Database) -> None:
        for trial, images in ((0, 64), (0, 128), (1, 64)):
            record_rung(find_study(database, "cells"), trial, replace(RUNG, images=images))
        assert count_rungs(find_study(database, "cells"), [0, 1, 7]) == {0: 2, 1: 1}
        assert count_rungs(find_study(database, "cells"), [1])[0] == 0

    @pytest.mark.parametrize("ap", [0.0, 1 / 3, 1.0, math.nan])
    def test_at_the_same_images_are_replaced_whatever_the_precision_is(self, database: Database, ap: float) -> None:
        record_rung(find_study(database, "cells"), 0, RUNG)
        record_rung(find_study(database, "cells"), 0, replace(RUNG, ap=ap))
        assert repr(read_rungs(find_study(database, "cells"), 0)) == repr([kept(0, ap=ap)])

    def test_need_their_trial(self, database: Database) -> None:
        with pytest.raises(StorageError, match="study 'cells' has no trial 5"):
            record_rung(find_study(database, "cells"), 5, RUNG)
