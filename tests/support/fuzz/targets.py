"""What is fuzzed: each kind of file and message that a stranger may hand us, with valid ones to begin from."""

from tests.support.fuzz import configurations, datasets, messages, study_files, training_files

TARGETS = (*study_files.TARGETS, *datasets.TARGETS, *messages.TARGETS, *training_files.TARGETS, *configurations.TARGETS)
