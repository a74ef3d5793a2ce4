"""Why a network answers as it does: where it looked, what it read across, what each image added.

    from amfzoo.explain import explain, modality_contribution
    seen = explain(model, "clinical.jpg", "dermoscopy.jpg")
    seen.class_map("dermoscopy").overlay().save("why.png")        # of the most probable diagnosis
    seen.class_map("clinical", "streaks", "irregular").array()    # (H, W) of the picture, 0..1
    seen.attention[0].drawn_from(200, 150).overlay()              # what that dermoscopy point drew on
    modality_contribution(model, "clinical.jpg", "dermoscopy.jpg").shift("clinical")

A map says what moved this network, not where the disease is; `benchmarks/explain_faithfulness.py`
measures how far to trust it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names

# public name -> module; loaded on first use, so that the names cost no torch
_PUBLIC = {
    "explain": ".explanation",
    "Explanation": ".explanation",
    "FusionAttention": ".attention",
    "RegionMap": ".region_map",
    "Contribution": ".contribution",
    "modality_contribution": ".contribution",
}
__all__ = list(_PUBLIC)

if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .attention import FusionAttention as FusionAttention
    from .contribution import Contribution as Contribution
    from .contribution import modality_contribution as modality_contribution
    from .explanation import Explanation as Explanation
    from .explanation import explain as explain
    from .region_map import RegionMap as RegionMap
else:
    __getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
