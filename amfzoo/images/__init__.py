"""Images in, network input out: the one preprocessing path of the package.

`read_image` turns any accepted source into an upright 8-bit RGB picture, and
`Preprocess` turns that into the normalised array a network reads.
"""

from __future__ import annotations

from .preprocess import Preprocess
from .read import read_image
from .source import MAX_BYTES, MAX_PIXELS, MIN_SIDE, ImageSource

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MIN_SIDE", "ImageSource", "Preprocess", "read_image"]
