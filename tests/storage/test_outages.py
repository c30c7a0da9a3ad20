import optuna
import pytest

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.outages import read_outages, record_outage
from storage.study import find_study


@pytest.mark.usefixtures("study")
class TestOutages:
    def test_are_kept_with_their_length_and_their_end_by_the_databases_clock(self, database: Database) -> None:
        record_outage(find_study(database, "cells"), "anna", number=1, lasted_s=4.0, ended_s_ago=100.0)
        record_outage(find_study(database, "cells"), "bert", number=1, lasted_s=5.5, ended_s_ago=10.0)
        first, second = read_outages(find_study(database, "cells"))
        assert (first.worker, first.lasted_s, second.worker, second.lasted_s) == ("anna", 4.0, "bert", 5.5)
        assert (second.ended_at - first.ended_at).total_seconds() == pytest.approx(90, abs=2)

    def test_told_twice_are_one(self, database: Database) -> None:
        """The answer of the first time was lost."""
        for lasted_s in (4.0, 7.0):
            record_outage(find_study(database, "cells"), "anna", number=1, lasted_s=lasted_s, ended_s_ago=0.0)
        record_outage(find_study(database, "cells"), "anna", number=2, lasted_s=1.0, ended_s_ago=0.0)
        assert sorted(record.lasted_s for record in read_outages(find_study(database, "cells"))) == [1.0, 4.0]

    def test_stay_with_their_study(self, database: Database, study: optuna.Study) -> None:
        record_outage(find_study(database, "cells"), "anna", number=1, lasted_s=4.0, ended_s_ago=0.0)
        optuna.create_study(study_name="ships", storage=database.optuna)
        assert read_outages(find_study(database, "ships")) == []
        with pytest.raises(StorageError, match="no study 'planes'"):
            record_outage(find_study(database, "planes"), "anna", number=1, lasted_s=4.0, ended_s_ago=0.0)
