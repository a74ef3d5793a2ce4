"""What a run begins with or learns from must not lie where it writes its own model: once replaced, nobody could go on from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..hub import LOCAL_PREFIX
from .backbones import source_of
from .run import MODEL_FOLDER


def refuse_own_start(folders: Iterable[Path], model: Any, backbone_weights: Any, teachers: Sequence[str]) -> None:
    """Raise ConfigError if a run would replace weights that it needs.

    Args:
        folders: of the runs that are begun or thrown away; each has its ``model/``.
        model, backbone_weights: as for `finetune`. teachers: names.
    """
    replaced = {folder / MODEL_FOLDER: (folder / MODEL_FOLDER).resolve() for folder in folders}
    for what, name, place in _places(model, backbone_weights, teachers):
        for shown, real in replaced.items():
            if place.resolve().is_relative_to(real):
                raise ConfigError(
                    f"{what} {name}: the run would replace {shown}, and these weights with it, and could not go on from them once "
                    "it is stopped; name another folder for the run (--out)"
                )


def _places(model: Any, backbone_weights: Any, teachers: Sequence[str]) -> Iterator[tuple[str, str, Path]]:
    """What for, as named, and where on this disk; without weights that have names of their own."""
    named = backbone_weights if isinstance(backbone_weights, Mapping) else {}
    given = [("model", model), *((f"{branch} backbone", source_of(weights)) for branch, weights in named.items())]
    for what, name in (*given, *(("teacher", teacher) for teacher in teachers)):
        if isinstance(name, os.PathLike):
            yield what, os.fspath(name), Path(os.path.expanduser(name))
        elif isinstance(name, str) and name.startswith(LOCAL_PREFIX):
            yield what, name, Path(os.path.expanduser(name.removeprefix(LOCAL_PREFIX)))
