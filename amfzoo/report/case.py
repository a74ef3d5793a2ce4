"""Everything that a page says about one pair, before it becomes HTML."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..explain import Contribution, Explanation, RegionMap, explain, modality_contribution
from ..explain.contribution import reusable
from ..inference import Prediction
from ..inference.batch import BRANCHES
from ..inference.predictor import predict
from ..labels import CHECKLIST, DIAGNOSIS
from .markup import class_name, data_uri, jpeg, percent, png, words

if TYPE_CHECKING:
    from ..inference.predictor import Model
    from ..models.network import PairNetwork

PICTURE_SIDE = 720  # pixels; longest side of an embedded picture
LAYER_SIDE = 160  # of a map laid over it, which the browser enlarges
SECOND_DIAGNOSIS = 0.1  # probability from which the second most probable diagnosis gets a map
PICTURE_TITLES = {"clinical": "Clinical photo", "dermoscopy": "Dermoscopy image"}


@dataclass(frozen=True)
class Layer:
    """A map to lay over a picture: what it is of, its image, and where it is strongest, in words."""

    title: str
    uri: str
    strongest: str


@dataclass(frozen=True)
class Picture:
    """One of the pair, as it goes into the page; `silent`: what no region of it speaks for."""

    branch: str
    name: str
    uri: str
    size: tuple[int, int]
    layers: tuple[Layer, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseView:
    """One pair.

    Attributes:
        title: of the section.
        pictures: those given that the network reads.
        facts: further (name, text) about it, such as cells of a table.
    """

    title: str
    contribution: Contribution
    pictures: tuple[Picture, ...]
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def prediction(self) -> Prediction:
        return self.contribution.whole


def view_case(
    model: Model,
    network: PairNetwork,
    clinical: Any,
    dermoscopy: Any,
    *,
    title: str,
    answer: Prediction | None = None,
    guards: bool = True,
    facts: tuple[tuple[str, str], ...] = (),
) -> CaseView:
    """Answer and explain one pair.

    Args:
        model: what predicts: the network, or one behind another runtime.
        network: the network itself, which explains.
        answer: what `model` said of the pair; default it is asked, with or without `guards`.

    Raises:
        ImageError, PredictionError: as of `PairNetwork.predict`.
    """
    images = {name: reusable(image) for name, image in zip(BRANCHES, (clinical, dermoscopy))}
    answer = answer or predict(model, *images.values(), guards=guards)
    contribution = modality_contribution(model, **images, whole=answer)
    seen = explain(network, **images)
    pictures = tuple(
        _picture(seen, contribution.whole, name, file_name(image))
        for name, image in images.items()
        if name in seen.pictures
    )
    return CaseView(title, contribution, pictures, facts)


def file_name(image: Any) -> str:
    """What a picture's file is called, without its folder; "" if it is no file."""
    return Path(os.fsdecode(image)).name if isinstance(image, (str, os.PathLike)) else ""


def _picture(seen: Explanation, answer: Prediction, branch: str, name: str) -> Picture:
    found = list(_maps(seen, answer, branch))
    whole = seen.pictures[branch]
    small = whole.copy()
    small.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BICUBIC)
    return Picture(
        branch,
        name,
        data_uri("jpeg", jpeg(small)),
        small.size,
        tuple(
            Layer(title, data_uri("png", png(region.layer(LAYER_SIDE))), _strongest(region))
            for title, region in found
            if not region.empty
        ),
        tuple(title for title, region in found if region.empty),
    )


def _maps(seen: Explanation, answer: Prediction, branch: str) -> Iterator[tuple[str, RegionMap]]:
    """(title, map) of what is worth a look: likely diagnoses, findings that are not absent, attention."""
    for task, row in answer.probabilities.items():
        ranked = sorted(row, key=row.__getitem__, reverse=True)
        shown = ranked[:1]
        if task == DIAGNOSIS and row[ranked[1]] >= SECOND_DIAGNOSIS:
            shown = ranked[:2]
        if task in CHECKLIST:
            shown = [answer.called(task)[0]]
            if shown == ["absent"] or answer.lacks_dermoscopy:
                continue
        for label in shown:
            what = f"{words(task)}: {class_name(task, label, row)}, {percent(row[label])}"
            yield f"Evidence for {what}", seen.class_map(branch, task, label)
    reading = [one for one in seen.attention if one.source == branch]
    if reading:
        finest = min(reading, key=lambda one: one.stride)
        reader = PICTURE_TITLES[finest.reader].lower()
        yield f"Where the network looked here to interpret the {reader} (attention)", finest.overall()


def _strongest(region: RegionMap) -> str:
    """The third of the picture, across and down, that holds the strongest place."""
    heat = region.array(LAYER_SIDE)
    index = int(heat.argmax())
    down = ("top", "middle", "bottom")[3 * (index // heat.shape[1]) // heat.shape[0]]
    across = ("left", "centre", "right")[3 * (index % heat.shape[1]) // heat.shape[1]]
    return "in the middle" if (down, across) == ("middle", "centre") else f"at the {down} {across}"
