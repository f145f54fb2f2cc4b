"""Strong defaults by kind and size of data, the most promising per second first.

The names in the recipes are those of built-in components; what a run does not offer (left out by the user,
not installed, too small an image) is passed over, and a parameter that does not exist keeps its default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.search.history import History
from seedbed.core.space import Space, Value
from seedbed.core.task import Modality
from seedbed.plugins.strategies.recipes_images import image_recipes
from seedbed.plugins.strategies.recipes_series import series_recipes
from seedbed.plugins.strategies.recipes_text import text_recipes

_RECIPES: Mapping[Modality, Callable[[Space, Profile, History], Iterator[dict[str, Value]]]] = {
    "image": image_recipes,
    "series": series_recipes,
    "text": text_recipes,
}


def portfolio(space: Space, profile: Profile, history: History | None = None) -> Iterator[dict[str, Value]]:
    """Yield points of the space, in the order in which to try them, as far as the history tells it."""
    history = History() if history is None else history  # an empty one is false
    wishes = _RECIPES[profile.task.modality](space, profile, history)
    seen: list[dict[str, Value]] = []
    for wish in [*wishes, {}]:  # the empty wish is the space's own default
        values = _complete(space, wish)
        if values is not None and values not in seen:
            seen.append(values)
            yield values


def _complete(space: Space, wish: dict[str, Value]) -> dict[str, Value] | None:
    """Fill a wish up to a point of the space; None where its architecture or policy is not to be had.

    Parameters that the user has pinned, and components that are not offered, silently win over the
    wish: it is a wish.
    """
    values: dict[str, Value] = {}
    for param in space.active(values):
        wanted = wish.get(param.name, param.default)
        values[param.name] = wanted if wanted in param.domain else param.default
    if any(values.get(key) != wish[key] for key in ("architecture", "policy") if key in wish):
        return None
    try:
        space.validate(values)
    except UsageError:
        return None
    return values
