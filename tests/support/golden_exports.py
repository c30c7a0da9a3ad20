"""Writes the golden files of exports anew: python -m tests.support.golden_exports."""

from pathlib import Path

from detector.config import ConfigError
from search.export.frameworks.exporting import FRAMEWORKS
from search.export.frameworks.recipe import Recipe, SplitFiles
from tests.support.export_cases import CASES

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "exports"
_START, _END = "# settings\n", "# end of settings\n"


def golden_texts() -> dict[str, str]:
    """Every file by its path below the folder, as text that nothing formats; of scripts the settings alone.

    Of what is refused, the reason.
    """
    found: dict[str, str] = {}
    for case, configuration in CASES.items():
        splits = {
            split: SplitFiles(annotations=f"{split}.json", images="../data/images", count=count, turned=0)
            for split, count in (("train", 6), ("validation", 3))
        }
        recipe = Recipe(configuration=configuration, images=configuration.provenance.budget_images, **splits)
        for framework in FRAMEWORKS.values():
            try:
                framework.fidelity(recipe)
                texts = framework.texts(recipe, framework.files[0])
            except ConfigError as error:
                texts = {f"{framework.format}-refused": f"{error}\n"}
            found |= {f"{case}/{name}.txt": _shown(text) for name, text in texts.items() if name != "frcnn_training.py"}
    return found


def _shown(text: str) -> str:
    return text.partition(_START)[2].partition(_END)[0] or text


if __name__ == "__main__":
    for name, text in golden_texts().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")
