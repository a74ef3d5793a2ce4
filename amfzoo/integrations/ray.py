"""Ray Data: predictions for more pairs than one machine should answer, by a pool of actors.

    import ray
    from amfzoo.integrations.ray import PairPredictor

    answered = ray.data.read_parquet("pairs.parquet").map_batches(
        PairPredictor,
        fn_constructor_kwargs={"model": "amf_small", "root": "/pictures"},
        batch_size=64,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=1,                             # threads of each actor; num_gpus=1 with device="cuda"
    )
    answered.write_parquet("answers")

Leave the cluster at least one CPU beyond size x num_cpus: Ray reads the table with it, and waits without a word where
there is none. Ray replaces an actor that dies and has its batch answered again; of a batch that was not
answered to its end it takes no row, so each row is there once. ``pip install 'amfzoo[ray]'`` brings Ray.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..images.source import named_bytes
from ..inference.batch import BRANCHES
from ..inference.predictor import predict_stream
from ..inference.table_batch import fitting_batch_size
from ..inference.table_columns import AnswerColumns
from ..inference.table_rows import IN_TABLE, image_path
from ..runtimes import create_predictor

if TYPE_CHECKING:
    from ..images import ImageSource

Columns = dict[str, np.ndarray]


class PairPredictor:
    """Columns of pairs in, the same columns and the answers out; for `Dataset.map_batches`.

    A column of images holds paths, the bytes of image files, structs of ``bytes`` and ``path`` as
    Hugging Face `datasets` writes them, or uint8 arrays; None, NaN or "" is a missing image. Added
    are the columns that `predict_table` adds to a table: `model`, for each task the class that is
    called and the probabilities of all (float64), `missing`, `warnings`, `error` and, where the
    weights give them, prediction sets and `seven_point_score` (float64). Of a pair that cannot be
    answered the texts are empty but for `error`, and the numbers NaN.

    Args:
        model: what `create_model` takes, with weights; each actor must be able to load it.
        clinical, dermoscopy: names of the columns of images; None if there is none.
        root: folder that relative paths start from; default where the actor runs.
        keep_images: whether the columns of images stay; say False where they hold bytes.
        prefix: put before the names of the added columns.
        guards: whether to look for mistakes with the images; without, there is no column `warnings`.
        batch_size: pairs per step of the network, within a batch of Ray; default one for
            the device.
        runtime, device, precision, local_files_only, cache_dir: as for `create_predictor`.

    Raises:
        ConfigError: both images are to come from one column, or from none.
        PredictionError: `batch_size` is no whole number of at least 1.
        As `create_predictor`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "amf_small",
        *,
        clinical: str | None = "clinical",
        dermoscopy: str | None = "dermoscopy",
        root: str | os.PathLike[str] | None = None,
        keep_images: bool = True,
        prefix: str = "",
        guards: bool = True,
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        # of a pair of twice the same picture the answer would be no error, but wrong
        if clinical == dermoscopy:
            what = "names no column" if clinical is None else f"is {clinical!r}, which cannot be both images"
            raise ConfigError(
                f"clinical= and dermoscopy=: each {what}; name a column for each, or None for the one that is not there"
            )
        self._model = create_predictor(model, **options)
        self._images = dict(zip(BRANCHES, (clinical, dermoscopy)))
        self._root, self._keep_images = Path(root or ""), keep_images
        self._columns = AnswerColumns(self._model, prefix=prefix, guards=guards)
        self._batch_size = fitting_batch_size(self._model, batch_size)

    def __call__(self, batch: Mapping[str, np.ndarray]) -> Columns:
        """Answer one batch: columns of equal length in, all rows in the same order out.

        Raises:
            ConfigError: the batch is of another format, a column of images is not there, or one to be added is.
        """
        if not isinstance(batch, Mapping):
            raise ConfigError(
                f"the batch is a {type(batch).__name__}, and not columns as arrays; leave out batch_format= of "
                'map_batches, or say batch_format="numpy"'
            )
        self._check(batch)
        count = len(next(iter(batch.values())))
        sides = [self._side(batch[name], count) if name else [None] * count for name in self._images.values()]
        options = {"batch_size": self._batch_size, "errors": "return", "guards": self._columns.guards}
        answers = predict_stream(self._model, zip(*sides), **options)
        cells = list(zip(*map(self._columns.cells, answers)))
        dropped = () if self._keep_images else self._images.values()
        kept = {name: values for name, values in batch.items() if name not in dropped}
        added = zip(self._columns.names, self._columns.types, cells or [()] * len(self._columns.names))
        return kept | {name: _array(kind, column) for name, kind, column in added}

    def _check(self, batch: Mapping[str, np.ndarray]) -> None:
        absent = [name for name in self._images.values() if name and name not in batch]
        if absent:
            raise ConfigError(
                f"the batch has no column {' and none '.join(map(repr, absent))}; its columns are "
                f"{', '.join(map(repr, batch))}. Name the columns of images with clinical= and dermoscopy="
            )
        twice = [name for name in self._columns.names if name in batch]
        if twice:
            raise ConfigError(
                f"the column {twice[0]!r} is also one of those to be added; put a prefix before these: prefix="
            )

    def _side(self, values: np.ndarray, count: int) -> list[ImageSource | None]:
        return [self._image(values[i]) for i in range(count)]

    def _image(self, value: Any) -> ImageSource | str | Path | None:
        if isinstance(value, Mapping) and "bytes" in value:  # a row of a column of structs
            held, value = value["bytes"], value.get("path")
            if held is not None:
                return named_bytes(held, value or IN_TABLE)
        if isinstance(value, str):
            return image_path(value, self._root)
        # pandas and Arrow write NaN for a missing one
        is_nan = isinstance(value, (float, np.floating)) and np.isnan(value)
        return None if is_nan or type(value).__name__ in ("NAType", "NaTType") else value


def _array(kind: type, cells: tuple[str, ...]) -> np.ndarray:
    """Text cells as a column whose type does not depend on what is empty."""
    if kind is str:
        return np.array(cells, dtype=object)
    return np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)
