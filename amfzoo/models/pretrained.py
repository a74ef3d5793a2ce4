"""How a network comes from a model folder or a Hub, and goes there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import hub
from ..card import render_card
from ..folder import write_folder
from ..labels import Schema, as_tasks
from .config import NetworkConfig
from .loading import as_source, build_loaded
from .origin import settle_info
from .own_parts import refuse_own_parts

if TYPE_CHECKING:
    from .network import PairNetwork


class Pretrained:
    """`from_pretrained`, `save_pretrained` and `push_to_hub` of `PairNetwork`."""

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        tasks: Schema | Mapping[str, Iterable[str]] | str | None = None,
        local_files_only: bool = False,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        **changes: Any,
    ) -> PairNetwork:
        """A network with verified weights, in evaluation mode; see `create_model`.

        Args:
            source: a name that `create_model` knows, a folder, or "org/repo" on the Hub.
            tasks, local_files_only, cache_dir, token: as of `create_model`.
            **changes: fields of `NetworkConfig`, as of `create_model`.

        Raises:
            UnknownModelError, ConfigError, WeightsError: as `create_model`.
        """
        NetworkConfig.check_names(changes)
        found = hub.resolve(as_source(source), local_files_only=local_files_only, cache_dir=cache_dir, token=token)
        return build_loaded(cls, found, changes, None if tasks is None else as_tasks(tasks))

    def save_pretrained(
        self: PairNetwork,
        folder: str | os.PathLike[str],
        *,
        half: bool = False,
        overwrite: bool = False,
        examples: Any = None,
    ) -> Path:
        """Write the network as a model folder, which every loader here takes.

        Of weights that were changed since they were loaded, the name and the figures in `config.info` are left out; see
        `settle_info` for other temperatures, prediction sets and operating points.

        Args:
            folder: where to; written whole or not at all.
            half: store the large matrices in half precision.
            overwrite: replace a model folder that is there.
            examples: {file name: bytes or path} for its ``example/``.

        Raises:
            WeightsError: the folder is in the way or cannot be written, or a weight is NaN.
            ConfigError: it has parts of its own that no config tells of, see `refuse_own_parts`.
        """
        return self._save(folder, {}, half=half, overwrite=overwrite, examples=examples)

    def settle_info(self: PairNetwork) -> None:
        """Drop the name, the figures (`config.info`) and the prediction sets of the weights that were loaded, if this is
        another network now; their licence stays. If only temperatures, prediction sets or operating points are other ones,
        the name says so ("..., refitted 1a2b3c4d"), and the figures that held for those before are left out.

        Saving, exporting, `create_predictor`, `evaluate_model`, `recalibrate` and bulk prediction do so first.
        """
        settle_info(self)

    def _save(self: PairNetwork, folder: str | os.PathLike[str], facts: Mapping[str, Any], **options: Any) -> Path:
        refuse_own_parts(self)
        self.settle_info()
        config = self.config.to_dict()
        parameters = sum(p.numel() for p in self.parameters())
        info = dict(config["info"])
        if info.get("calibration_plot") not in (options.get("examples") or {}):
            info["calibration_plot"] = None  # the picture stays where the weights came from
        card = render_card(config, {"parameters": parameters, **info, **facts})
        return write_folder(folder, config=config, state=self.state_dict(), card=card, **options)

    def push_to_hub(self: PairNetwork, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload the network, with a generated card, to ``org/repo`` on the Hub; returns the commit.

        Args:
            repo_id: made if it is not there.
            private: only you may see it.
            token: default HF_TOKEN, or that of `hf auth login`.

        Raises:
            ConfigError: `repo_id` is not written so.
            WeightsError: the Hub refuses or cannot be reached, or the repository is public where it was to be `private`.
        """
        other_way = "write a folder with save_pretrained, and push that with `amfzoo push` from a connected computer"
        with tempfile.TemporaryDirectory() as scratch:
            folder = self._save(Path(scratch) / "model", {"load_as": hub.HUB_PREFIX + repo_id})
            return hub.push(folder, repo_id, private=private, token=token, other_way=other_way)
