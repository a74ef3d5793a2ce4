"""From pairs of images to predictions, in batches, images decoded ahead in threads."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, overload

from ..ahead import batched
from ..checks import UNTRAINED, untrained_tasks
from ..errors import AmfzooError, PredictionError
from ..guards import InputWarning
from ..images.own import own_copy
from .batch import BRANCHES, Started, calibrated, with_precision
from .lanes import in_lanes, lanes_of
from .prediction import Prediction, PredictionSet
from .prepare import Model, Pair, Prepared, prepared, stacked
from .table_batch import checked_count, usual_batch_size
from .torch_logits import start_logits

_IN_FLIGHT = 1  # batches on a device that works by itself
_MANY = 2  # batches; of fewer pairs lanes would not be worth what a runtime needs to get ready for them


def predict(
    model: Model, clinical: Any, dermoscopy: Any, *, batch_size: int | None = None, guards: bool = True
) -> Prediction | list[Prediction]:
    """`PairNetwork.predict`; see there."""
    batch_size = _checked(model, batch_size, None, "raise")
    lists = [isinstance(images, (list, tuple)) for images in (clinical, dermoscopy)]
    if not any(lists):
        (answer,) = _answers(model, [(clinical, dermoscopy)], batch_size, None, "return", guards)
        if isinstance(answer, AmfzooError):
            raise answer
        return answer
    if any(isinstance(images, tuple) for images in (clinical, dermoscopy)) and not all(lists):
        raise PredictionError("a tuple in place of an image: give a pair as two arguments, many images as lists")
    columns = []
    for name, images, is_list in zip(BRANCHES, (clinical, dermoscopy), lists):
        if not is_list and images is not None:
            raise PredictionError(f"one image for {name} and a list for the other: give two lists, or two images")
        columns.append(images)
    count = len(next(images for images in columns if images is not None))
    columns = [[None] * count if images is None else images for images in columns]
    if len(columns[0]) != len(columns[1]):
        raise PredictionError(
            f"{len(columns[0])} clinical and {len(columns[1])} dermoscopy images: the lists must pair up"
        )
    return list(_answers(model, zip(*columns), batch_size, None, "raise", guards))


@overload
def predict_stream(
    model: Model,
    pairs: Iterable[Pair],
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    errors: Literal["raise"] = "raise",
    guards: bool = True,
) -> Iterator[Prediction]: ...
@overload
def predict_stream(
    model: Model,
    pairs: Iterable[Pair],
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    errors: str,
    guards: bool = True,
) -> Iterator[Prediction | AmfzooError]: ...
def predict_stream(
    model: Model,
    pairs: Iterable[Pair],
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    errors: str = "raise",
    guards: bool = True,
) -> Iterator[Prediction | AmfzooError]:
    """Predictions of any number of pairs, in order, in constant memory.

    Args:
        model: a network, or one behind another runtime (`create_predictor`).
        pairs: (clinical, dermoscopy) images; one of the two may be None. They are taken some batches ahead; arrays,
            PIL images and open files are copied as they come, so that they may be filled anew or closed afterwards.
        batch_size: pairs per step; it has no influence on the answer; default 64 on CUDA, else 8 for each core,
            16 to 64.
        workers: threads that decode images; default one per core, at most 8. Where many pairs are answered on a CPU, each
            of them computes as well, with its part of a step (`amfzoo.inference.lanes`), unless they are more than torch has
            threads: so give more where files come slowly.
        errors: "raise" stops at a bad pair; "return" gives its error in its place.
        guards: whether to look for mistakes with the images, which fills `warnings`; it
            has no influence on the probabilities.

    Returns:
        An iterator over a `Prediction` for each pair, or, with ``errors="return"``, the `AmfzooError`.

    Raises:
        ImageError, PredictionError: a pair cannot be answered and `errors` is "raise"; the message has its number.
        Exception: what `pairs` raises, after the answers of the pairs before.
    """
    batch_size = _checked(model, batch_size, workers, errors)
    return _answers(model, map(_taken_over, pairs), batch_size, workers, errors, guards)


def _checked(model: Model, batch_size: int | None, workers: int | None, errors: str) -> int:
    """The batch size; PredictionError for a wrong setting."""
    check_model(model)
    batch_size = usual_batch_size(model) if batch_size is None else batch_size
    checked_count("batch_size", batch_size)
    checked_count("workers", 1 if workers is None else workers)
    if errors not in ("raise", "return"):
        raise PredictionError(f'errors must be "raise" or "return", got {errors!r}')
    return int(batch_size)


def check_model(model: Model) -> None:
    """PredictionError for what answers no pairs, such as the name of a model."""
    if not hasattr(model, "preprocess"):
        raise PredictionError(
            f"{model!r:.200} is no model that answers: give the network or the predictor itself, e.g. "
            "create_model(name, pretrained=True)"
        )


def _taken_over(pair: Any) -> Any:
    """A pair that nothing outside changes before it is decoded; what cannot be taken over says so when it is read."""
    return tuple(map(own_copy, pair)) if isinstance(pair, (tuple, list)) else pair


class _Source:
    """An iterator whose error waits until the pairs before it are answered."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs, self.error = iter(pairs), None

    def __iter__(self) -> Iterator[Pair]:
        return self

    def __next__(self) -> Pair:
        if self.error is not None:
            raise StopIteration
        try:
            return next(self._pairs)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise StopIteration from None


def _answers(
    model: Model, pairs: Iterable[Pair], batch_size: int, workers: int | None, errors: str, guards: bool
) -> Iterator[Prediction | AmfzooError]:
    numbers, source = itertools.count(), _Source(pairs)
    first = list(itertools.islice(source, _MANY * batch_size))
    lanes = lanes_of(model, batch_size, workers) if len(first) == _MANY * batch_size else None
    ready = itertools.chain(first, source)
    steps = (
        _in_turn(model, ready, batch_size, workers, guards) if lanes is None else in_lanes(model, lanes, ready, guards)
    )
    with closing(steps):
        for items, started in steps:
            yield from _finished(model, items, started, errors, numbers)
    if source.error is not None:
        raise source.error


def _in_turn(
    model: Model, pairs: Iterator[Pair], batch_size: int, workers: int | None, guards: bool
) -> Iterator[tuple[list[Prepared | AmfzooError], Started]]:
    """Batches given to the network one after the other."""
    # while a device is busy with one batch, the next is stacked and handed to it
    running: deque[tuple[list[Prepared | AmfzooError], Started]] = deque()
    for batch in batched(prepared(model, pairs, batch_size, workers, guards), batch_size):
        running.append((batch, _started(model, batch)))
        while running and (len(running) > _IN_FLIGHT or not running[0][1].pending):
            yield running.popleft()
    yield from running


def _finished(
    model: Model, batch: Sequence[Prepared | AmfzooError], started: Started, errors: str, numbers: Iterator[int]
) -> Iterator[Prediction | AmfzooError]:
    untrained = _untrained(model)
    rows = {task: values.tolist() for task, values in calibrated(started.logits(), model.config.temperatures).items()}
    row = 0
    for item, number in zip(batch, numbers):
        answer = item
        if not isinstance(item, AmfzooError):
            answer = _answer(model, {task: values[row] for task, values in rows.items()}, item, untrained)
            row += 1
        if errors == "raise" and isinstance(answer, AmfzooError):
            raise type(answer)(f"pair {number} (counted from 0): {answer}") from answer.__cause__
        yield answer


def _started(model: Model, items: Sequence[Prepared | AmfzooError]) -> Started:
    """The pairs of a batch that could be read, given to the network."""
    batch = stacked(model, items)
    if batch is None:
        return Started(dict)
    if hasattr(model, "start"):
        return model.start(batch)
    if hasattr(model, "logits"):
        logits = model.logits(batch)
        return Started(lambda: logits)
    return start_logits(model, batch)


def _untrained(model: Model) -> tuple[InputWarning, ...]:
    tasks = model.untrained if hasattr(model, "untrained") else untrained_tasks(model.config.info)
    if not tasks:
        return ()
    names = ", ".join(task.replace("_", " ") for task in tasks)
    what = "these answers mean" if len(tasks) > 1 else "this answer means"
    return (InputWarning(UNTRAINED, (), f"never trained: {names}; {what} nothing until the network is trained for it"),)


def _answer(
    model: Model, rows: dict[str, list[float]], pair: Prepared, untrained: tuple[InputWarning, ...]
) -> Prediction | PredictionError:
    """One pair's prediction; like an unreadable image, a network's NaN must not cost the others in the batch."""
    probabilities = {task: dict(zip(classes, rows[task])) for task, classes in model.tasks.items()}
    missing = tuple(name for name in model.preprocess if pair.inputs[name] is None)
    # their coverage was fitted on whole pairs and says nothing about a single image
    conformal = {} if missing else model.config.conformal
    try:
        return Prediction(
            probabilities,
            model=with_precision(model.config.info.get("name", model.config.architecture), model),
            missing=missing,
            sets={
                task: PredictionSet(sets.set_of(probabilities[task]), sets.coverage) for task, sets in conformal.items()
            },
            warnings=(*untrained, *pair.warnings),
            reads=tuple(model.preprocess),
            operating_points=model.config.operating_points,
        )
    except PredictionError as error:
        return error
