"""A Detectron2 YAML as a document: `_BASE_` followed, texts evaluated as literals as yacs does, defaults below."""

import ast
from pathlib import Path
from typing import Any

from detector.config import ConfigError, require
from search.imports.formats.detectron2_defaults import BASES, DEFAULTS
from search.imports.formats.their_document import TheirDocument, merged
from search.imports.formats.their_yaml import parse_yaml

BASE = "_BASE_"
MOST_BASES = 10
LONGEST_LITERAL = 2_000  # characters


def detectron2_document(text: str, file: Path) -> TheirDocument:
    """The file's values over its bases', and over Detectron2's own.

    Raises:
        ConfigError: it is no YAML, or a base is neither beside it nor one of Detectron2's.
    """
    values, spans = parse_yaml(text, str(file))
    based = _over_bases(values, file, MOST_BASES)
    return TheirDocument(source=str(file), values=_evaluated(values), spans=spans, defaults=merged(DEFAULTS, based))


def _over_bases(values: dict[str, Any], file: Path, left: int) -> dict[str, Any]:
    """What the bases say, evaluated, without the values themselves."""
    named = values.get(BASE, [])
    result: dict[str, Any] = {}
    for name in named if isinstance(named, list) else [named]:
        require(isinstance(name, str) and "\0" not in name, f"{file}: {BASE} must be the path of a file, not {name!r}")
        require(left > 0, f"{file}: {BASE} goes on over {MOST_BASES} files; give the whole config, dumped")
        result = merged(result, _base(name, file, left))
    return result


def _base(name: str, file: Path, left: int) -> dict[str, Any]:
    path = file.parent / name
    if (known := BASES.get(Path(name).name)) is not None and not _is_file(path):
        return known
    try:
        text = path.read_text(encoding="utf-8") if _is_file(path) else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    if text is None:
        raise ConfigError(
            f"{file}: {BASE} names {name}, which is not there; give config.yaml of the training's OUTPUT_DIR, which "
            f"holds everything (known without a file: {', '.join(BASES)})"
        )
    values, _ = parse_yaml(text, str(path))
    return merged(_over_bases(values, path, left - 1), _evaluated(values))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long a name
        return False


def _evaluated(value: Any) -> Any:
    """With every text that is a literal of Python in its place: `(60000, 80000)` is a text for YAML."""
    if isinstance(value, dict):
        return {key: _evaluated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_evaluated(each) for each in value]
    return _literal(value) if isinstance(value, str) else value


def _literal(text: str) -> Any:
    if len(text) > LONGEST_LITERAL:
        return text
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text
    return found if isinstance(found, bool | int | float | str | list | tuple) or found is None else text
