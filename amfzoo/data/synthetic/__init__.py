"""Drawn pairs of skin-lesion pictures with chosen checklist findings.

`draw_pair` draws a clinical photo and a dermoscopy picture of one made-up lesion, from
a seed, without any data set. The drawn lesions are not real and do not stand for
real ones: they serve tests and demonstration only.

Layout: `raster` has the primitives, `lesion` the outline and skin, `structures` and
`areas` one painter per finding, `dermoscopy` and `clinical` the two pictures, `pair`
puts them together. A new finding is a painter and a row of `pair.PAINTERS`.
"""

from __future__ import annotations

from .example import write_example
from .pair import SyntheticPair, draw_pair
from .sampling import random_findings

__all__ = ["SyntheticPair", "draw_pair", "random_findings", "write_example"]
