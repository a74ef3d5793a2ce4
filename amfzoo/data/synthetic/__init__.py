"""Drawn pairs of skin-lesion pictures with chosen checklist findings.

`draw_pair` draws a clinical photo and a dermoscopy picture of one made-up lesion, from
a seed, without any data set. The drawn lesions are not real and do not stand for
real ones: they serve tests and demonstration only.

Layout: `raster` has the primitives, `lesion` the outline and skin, `structures`, `areas`
and `vessels` one painter per finding, `habit` and `signs` what a diagnosis adds,
`dermoscopy` and `clinical` the two pictures, `pair` puts them together. `drawn_set` draws
whole data sets: `label_statistics` their labels, `case` and `tables` their files, `truth`
where each finding lies. A new finding is a painter and a row of `pair.PAINTERS`.
"""

from __future__ import annotations

from .drawn_set import draw_set
from .example import write_example
from .pair import SyntheticPair, draw_pair
from .sampling import random_findings
from .truth import read_masks

__all__ = ["SyntheticPair", "draw_pair", "draw_set", "random_findings", "read_masks", "write_example"]
