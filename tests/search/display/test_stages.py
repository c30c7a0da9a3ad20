"""Since when a stage has been going on."""

from search.display.stages import Stages


def test_a_stage_lasts_while_only_its_count_changes():
    now = [100.0]
    stages = Stages(clock=lambda: now[0])
    assert stages.begins("anna", "decoding images, 0 of 9")
    now[0] += 65
    assert not stages.begins("anna", "decoding images, 8 of 9")
    assert stages.elapsed("anna") == "1:05"
    assert stages.begins("anna", "building the network")
    assert stages.elapsed("anna") == "0:00"
    assert stages.begins("bert", "building the network")


def test_that_nothing_is_waited_for_is_no_stage():
    stages = Stages()
    assert not stages.begins("anna", "")
    assert stages.begins("anna", "evaluating, 1 of 2")
    assert not stages.begins("anna", "")
    assert stages.begins("anna", "evaluating, 1 of 2")
