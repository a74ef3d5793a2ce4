"""What the page asks for, without anything of the page: weights by name, answers for a pair of files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PredictionError
from ..factory import create_model
from ..images import read_image
from ..inference import Prediction
from ..registry import list_pretrained
from ..report.case import PICTURE_TITLES, CaseView, view_case

if TYPE_CHECKING:
    from ..models.network import PairNetwork


class Answers:
    """Answers of several weights, each loaded when first asked for and then kept.

    Attributes:
        default: the weights to begin with.
        names: those that can be chosen: `default` and all listed ones.
    """

    def __init__(self, default: str, *, cache_dir: str | None = None, local_files_only: bool = False) -> None:
        """Loads the default, so that what is wrong with it is known at once.

        Raises:
            UnknownModelError, WeightsError, ConfigError: it cannot be had or verified.
        """
        self._options = {"cache_dir": cache_dir, "local_files_only": local_files_only}
        self._networks: dict[str, PairNetwork] = {}
        self._lock = threading.Lock()
        model = self.network(default).config.info.get("name")
        listed = list_pretrained()
        if model in listed and "." not in default and ":" not in default:
            self._networks[model] = self._networks.pop(default)  # "amf_small" under its full name
            default = model
        self.default = default
        self.names = (default, *(name for name in listed if name != default))

    def network(self, name: str) -> PairNetwork:
        """The weights of that name; errors as of `create_model`."""
        with self._lock:
            if name not in self._networks:
                self._networks[name] = create_model(name, True, **self._options)
            return self._networks[name]

    def predict(self, clinical: str | None, dermoscopy: str | None, name: str) -> Prediction:
        """The answer for one pair of files, either of which may be None.

        Raises:
            ImageError: a file is no image; the message says which box it was in, not where it lies.
            PredictionError: both are missing.
        """
        _check(clinical, dermoscopy)
        return self.network(name).predict(clinical, dermoscopy)

    def view(self, clinical: str | None, dermoscopy: str | None, name: str) -> CaseView:
        """As `predict`, with the pictures and what explains the answer."""
        _check(clinical, dermoscopy)
        network = self.network(name)
        return view_case(network, network, clinical, dermoscopy, title="Answer")


def _check(clinical: str | None, dermoscopy: str | None) -> None:
    images: dict[str, Any] = {"clinical": clinical, "dermoscopy": dermoscopy}
    given = {branch: path for branch, path in images.items() if path is not None}
    if not given:
        raise PredictionError("there is no image yet: choose a clinical photo, a dermoscopy image, or both")
    for branch, path in given.items():
        read_image(path, name=f"{PICTURE_TITLES[branch]} ({Path(path).name})")
