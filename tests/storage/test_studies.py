import optuna
import pytest

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.study import find_study, read_specification, save_specification, study_names
from storage.workers import read_workers, seen
from tests.support.studies import create_optuna_study, load_optuna_study


class TestStudies:
    def test_are_created_to_maximise_and_loaded_the_second_time(self, database: Database) -> None:
        sampler, pruner = optuna.samplers.RandomSampler(seed=1), optuna.pruners.NopPruner()
        study = create_optuna_study(database, "cells", sampler=sampler, pruner=pruner)
        study.tell(study.ask(), 0.5)
        again = create_optuna_study(database, "cells", sampler=sampler, pruner=pruner)
        assert (again.direction.name, again.best_value) == ("MAXIMIZE", 0.5)
        assert again.sampler is sampler
        assert again.pruner is pruner
        assert study_names(database) == ["cells"]

    def test_are_listed_in_alphabetical_order(self, database: Database) -> None:
        assert study_names(database) == []
        for name in ("ships", "cells", "weld {0} seams %s"):
            create_optuna_study(database, name)
        assert study_names(database) == ["cells", "ships", "weld {0} seams %s"]

    def test_of_the_other_direction_are_not_loaded(self, database: Database) -> None:
        optuna.create_study(study_name="loss", storage=database.optuna, direction="minimize")
        with pytest.raises(StorageError, match="study 'loss' is there and means to minimize, not to maximize"):
            create_optuna_study(database, "loss")

    @pytest.mark.parametrize("name", ["", "x" * 513])
    def test_need_a_name_that_fits(self, database: Database, name: str) -> None:
        with pytest.raises(StorageError, match=f"1 to 512 characters, but .* has {len(name)}"):
            create_optuna_study(database, name)

    def test_that_are_not_there_are_answered_with_the_nearest_and_all(self, database: Database) -> None:
        with pytest.raises(StorageError, match=r"no study 'cell' in database .*; it holds none yet"):
            load_optuna_study(database, "cell")
        for name in ("cells", "ships"):
            create_optuna_study(database, name)
        with pytest.raises(StorageError, match="did you mean 'cells'; it holds 'cells', 'ships'"):
            load_optuna_study(database, "cell")
        with pytest.raises(StorageError, match=r"in database [^;]*; it holds 'cells', 'ships'"):
            load_optuna_study(database, "qqqq")
        assert load_optuna_study(database, "ships").study_name == "ships"

    def test_dont_inherit_from_a_deleted_one_whose_id_they_get(self, sqlite_url: str) -> None:
        with Database.open(sqlite_url) as database:
            old = create_optuna_study(database, "old")
            save_specification(find_study(database, "old"), {"trials": 1})
            seen(
                find_study(database, "old"),
                "anna",
                host="h",
                pid=1,
                device="cpu",
                trial=None,
                images=0,
                images_per_s=0.0,
            )
            plain = optuna.storages.RDBStorage(sqlite_url)  # with foreign keys off, as Optuna's own command line
            optuna.delete_study(study_name="old", storage=plain)
            plain.remove_session()
            plain.engine.dispose()
            new = create_optuna_study(database, "new")
            assert new._study_id == old._study_id
            assert read_specification(find_study(database, "new")) is None
            assert read_workers(find_study(database, "new")) == []


class TestSpecification:
    def test_is_the_first_that_was_saved(self, database: Database, study: optuna.Study) -> None:
        first = {"name": "cells", "budget": {"trials": 12, "rungs": [0.1, None]}, "größe": "128×256"}
        assert read_specification(find_study(database, "cells")) is None
        save_specification(find_study(database, "cells"), first)
        save_specification(find_study(database, "cells"), {"name": "other"})
        assert read_specification(find_study(database, "cells")) == first

    def test_needs_its_study(self, database: Database) -> None:
        with pytest.raises(StorageError, match="no study 'cells'"):
            save_specification(find_study(database, "cells"), {})
        with pytest.raises(StorageError, match="no study 'cells'"):
            read_specification(find_study(database, "cells"))
