"""A page to try the models on, in a browser. Needs ``pip install 'amfzoo[demo]'``.

    from amfzoo.demo import build, launch
    launch(build())                  # or `amfzoo demo`

Nothing is sent anywhere: no telemetry, no fonts or scripts from the web. Uploaded images
are deleted an hour later and when the server stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

_PUBLIC = {"build": ".page", "launch": ".server"}
__all__ = list(_PUBLIC)
if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .page import build as build
    from .server import launch as launch
else:
    __getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
