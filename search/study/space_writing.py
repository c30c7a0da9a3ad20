"""Puts what the doctor proposes into a study file, and leaves everything else in it as it stands."""

from dataclasses import replace
from pathlib import Path

import yaml

from detector.config import ConfigError
from search.study.document import parse_document
from search.study.study_file import load_study_file, study_from
from search.study.text_edits import with_settings
from search.study.yaml_text import write_text
from spaces.parameters import Parameter
from spaces.section import write_parameter


def write_space(file: Path, parameters: dict[str, Parameter], counts: dict[str, int]) -> None:
    """Set the parameters in the file's space section and the counts in its detector section.

    All other text stays, every comment included, whether a section is written line by line or in braces. The result is
    read back before it replaces the file, so that a file that this cannot change is refused, never spoiled.

    Raises:
        ConfigError: the file is none, or the result would say something else; nothing was written then.
    """
    before = load_study_file(file)
    space = {name: write_parameter(parameter) for name, parameter in parameters.items()}
    try:
        text = file.read_bytes().decode("utf-8-sig").removesuffix("\n") + "\n"
        changed = with_settings(with_settings(text, "space", space), "detector", counts)
        after = study_from(parse_document(changed, str(file)), file)
        larger = replace(before.detector, **counts)  # type: ignore[arg-type]  # the keys are those of counts
        same = after == replace(before, space=before.space.replaced(parameters), detector=larger)
    except (ConfigError, yaml.YAMLError):
        same = False
    if not same:
        raise ConfigError(
            f"{file}: the sections space and detector must hold plain settings, without aliases, to be changed by a "
            "program; put the proposed lines in by hand"
        )
    write_text(file, changed)
