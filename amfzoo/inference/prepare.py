"""From pairs of images to network input, in threads, with what the guards say of them."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np

from ..errors import AmfzooError, PredictionError
from ..guards import InputWarning, check_thumbnails, thumbnails
from ..images import ImageSource
from ..images.quick import QuickPreprocess
from .batch import BRANCHES, ArrayModel, Batch, Inputs, stack

if TYPE_CHECKING:
    from ..guards import Thumbnails
    from ..models.network import PairNetwork

Model = Union["PairNetwork", ArrayModel]
Pair = tuple[ImageSource | None, ImageSource | None]  # clinical, dermoscopy
_GROUP = 8  # pairs that one thread decodes at a time; of 1, 4 and 8 the fastest on two cores


class Prepared(NamedTuple):
    """A pair as the network reads it, and what the guards say of it."""

    inputs: Inputs
    warnings: tuple[InputWarning, ...]


def prepared(
    model: Model, pairs: Iterator[Pair], batch_size: int, workers: int | None, guards: bool
) -> Iterator[Prepared | AmfzooError]:
    """Pairs in order, decoded at most two batches ahead."""
    first = list(itertools.islice(pairs, 2))
    if len(first) < 2:  # a pool costs more than it gives
        yield from prepare(model, first, guards)
        return
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        ahead: deque[tuple[int, Future]] = deque()
        try:
            for group in _groups(itertools.chain(first, pairs), min(_GROUP, batch_size)):
                while ahead and sum(size for size, _ in ahead) + len(group) > 2 * batch_size:
                    yield from ahead.popleft()[1].result()
                ahead.append((len(group), pool.submit(prepare, model, group, guards)))
            while ahead:
                yield from ahead.popleft()[1].result()
        finally:
            for _, future in ahead:
                future.cancel()


def _groups(pairs: Iterator[Pair], largest: int) -> Iterator[list[Pair]]:
    """The first ones small, so that a short list keeps all workers busy too."""
    size = 1
    while group := list(itertools.islice(pairs, size)):
        yield group
        size = min(2 * size, largest)


def prepare(model: Model, pairs: Sequence[Pair], guards: bool) -> list[Prepared | AmfzooError]:
    """Decode pairs; an error is a result here, so that others in its batch are not lost."""
    found = [_read(model, pair, guards) for pair in pairs]
    good = [item for item in found if not isinstance(item, AmfzooError)]
    # several at once: Python's own share in the guards is then small, and threads wait less for each other
    warnings = iter(check_thumbnails([thumbs for _, thumbs in good]) if guards else [()] * len(good))
    return [item if isinstance(item, AmfzooError) else Prepared(item[0], next(warnings)) for item in found]


def _read(model: Model, pair: Pair, guards: bool) -> tuple[Inputs, Thumbnails] | AmfzooError:
    if isinstance(pair, (str, bytes, Mapping)) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
        return PredictionError("a pair is (clinical, dermoscopy), None for an image that is missing")
    images = dict(zip(BRANCHES, pair))
    if all(image is None for image in images.values()):
        return PredictionError("both images are missing: give a clinical or a dermoscopy image, or both")
    if all(images[name] is None for name in model.preprocess):
        names = " and ".join(model.preprocess)
        return PredictionError(f"this network reads the {names} image alone, and it is missing")
    pictures = {}
    for name, preprocess in model.preprocess.items():
        try:
            pictures[name] = None if images[name] is None else preprocess.read(images[name])
        except AmfzooError as error:
            if isinstance(images[name], (str, os.PathLike)):  # then the message names the file
                return error
            return type(error)(f"{name} image, {error}")
    there = {name: picture for name, picture in pictures.items() if picture is not None}
    pixels = {name: np.array(picture) for name, picture in there.items()} if guards else {}
    inputs: Inputs = dict.fromkeys(pictures)
    for name, picture in there.items():
        preprocess = model.preprocess[name]
        given = (pixels.get(name),) if isinstance(preprocess, QuickPreprocess) else ()
        inputs[name] = preprocess.fitted(picture, *given)
    return inputs, thumbnails(pixels, there)


def stacked(model: Model, items: Iterable[Prepared | AmfzooError]) -> Batch | None:
    """The pairs that could be read as one batch; None if none could."""
    good = [item.inputs for item in items if not isinstance(item, AmfzooError)]
    return stack(good, model.preprocess) if good else None
