"""How exact a warm-up is where a framework counts it in whole iterations."""

from search.export.frameworks.fidelity import Note, approximate, unless
from search.export.frameworks.recipe import Recipe

ROUNDING = 1e-12


def warmup_note(recipe: Recipe) -> Note:
    """Of a framework that counts whole iterations of warm-up."""
    error = recipe.warmup_error
    return unless(
        error < ROUNDING,
        approximate(
            f"{recipe.whole_warmup_iterations} iterations in place of {recipe.warmup_iterations:.6g}; the rate is off "
            f"by at most {error:.2g} of its peak meanwhile"
        ),
    )
