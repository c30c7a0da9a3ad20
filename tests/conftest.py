"""What holds for every test."""

from hypothesis import settings

# A deadline measures the machine, not the code: on two busy cores any example may take a second.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
