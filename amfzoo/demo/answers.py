"""What the page asks for, without anything of the page: weights by name, answers for a pair of files."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import hub
from ..errors import ConfigError, PredictionError, UnknownModelError, WeightsError
from ..factory import create_model
from ..hub_fetch import is_offline
from ..images import read_image
from ..inference import Prediction
from ..manifest import load_manifest
from ..report.case import PICTURE_TITLES, CaseView, view_case

if TYPE_CHECKING:
    from ..manifest import Manifest
    from ..models.network import PairNetwork

logger = logging.getLogger("amfzoo")


class Answers:
    """Answers of several weights, each loaded when first asked for and then kept.

    Attributes:
        default: the weights to begin with; a folder by its own name, since where it lies is nothing to visitors.
        names: those that can be chosen: `default` and the listed ones that are on this machine or can be fetched.
    """

    def __init__(self, default: str, *, cache_dir: str | None = None, local_files_only: bool = False) -> None:
        """Loads the default, so that what is wrong with it is known at once.

        Raises:
            UnknownModelError, WeightsError, ConfigError: it cannot be had or verified.
        """
        self._options = {"cache_dir": cache_dir, "local_files_only": local_files_only}
        self._networks: dict[str, PairNetwork] = {}
        self._lock = threading.Lock()
        manifest = load_manifest()
        listed = manifest.find(default)
        # "amf_small" under its full name
        self.default = default if listed is None else listed.name
        if default.startswith(hub.LOCAL_PREFIX):
            self.default = hub.LOCAL_PREFIX + hub.name_without_place(default)
        self._sources = {self.default: default}
        self._network(self.default)
        self.names = tuple(dict.fromkeys((self.default, *_to_be_had(manifest, self._options))))

    def network(self, name: str) -> PairNetwork:
        """The weights of that name.

        Raises:
            WeightsError: they cannot be loaded; why, which may name folders of this machine, is only logged.
        """
        try:
            return self._network(name)
        except (ConfigError, UnknownModelError, WeightsError) as error:
            logger.warning("the weights %r cannot be loaded: %s", name, error)
            raise WeightsError(f"the weights {name!r} cannot be loaded on this server; choose others") from error

    def _network(self, name: str) -> PairNetwork:
        with self._lock:
            if name not in self._networks:
                self._networks[name] = create_model(self._sources.get(name, name), True, **self._options)
            return self._networks[name]

    def predict(self, clinical: str | None, dermoscopy: str | None, name: str) -> Prediction:
        """The answer for one pair of files, either of which may be None.

        Raises:
            ImageError: a file is no image; the message says which box it was in, not where it lies.
            PredictionError: both are missing.
            WeightsError: as of `network`.
        """
        _check(clinical, dermoscopy)
        return self.network(name).predict(clinical, dermoscopy)

    def view(self, clinical: str | None, dermoscopy: str | None, name: str) -> CaseView:
        """As `predict`, with the pictures and what explains the answer."""
        _check(clinical, dermoscopy)
        network = self.network(name)
        return view_case(network, network, clinical, dermoscopy, title="Answer")


def _to_be_had(manifest: Manifest, options: dict[str, Any]) -> list[str]:
    """Listed weights, sorted, without those that only a checkout has where this is none, and without what a Hub has where
    none may be asked."""
    fetched = not (options["local_files_only"] or is_offline())
    return [
        name
        for name, record in sorted(manifest.weights.items())
        if (fetched and record.source.type == "hub") or hub.is_here(record, manifest, cache_dir=options["cache_dir"])
    ]


def _check(clinical: str | None, dermoscopy: str | None) -> None:
    images: dict[str, Any] = {"clinical": clinical, "dermoscopy": dermoscopy}
    given = {branch: path for branch, path in images.items() if path is not None}
    if not given:
        raise PredictionError("there is no image yet: choose a clinical photo, a dermoscopy image, or both")
    for branch, path in given.items():
        read_image(path, name=f"{PICTURE_TITLES[branch]} ({Path(path).name})")
