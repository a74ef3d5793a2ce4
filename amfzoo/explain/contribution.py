"""How the answer changes without each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import AmfzooError, PredictionError
from ..images.source import encoded_bytes, is_encoded, source_name
from ..inference import Prediction, predict_stream
from ..inference.batch import BRANCHES
from ..inference.predictor import check_model
from ..labels import DIAGNOSIS

if TYPE_CHECKING:
    from ..inference.predictor import Model


@dataclass(frozen=True)
class Contribution:
    """A pair's answer, and the answers from one of its images alone.

    Attributes:
        whole: from all images given.
        without: image -> the answer without it; empty where nothing would be left to answer from.
    """

    whole: Prediction
    without: Mapping[str, Prediction] = field(default_factory=dict)

    def change(self, image: str, task: str = DIAGNOSIS) -> dict[str, float]:
        """{class: how much more probable it is with the image than without it}.

        Raises:
            PredictionError: there is no answer without that image, or none to that task.
        """
        if image not in self.without:
            raise PredictionError(
                f"no answer without the {image} image; there is one without: {', '.join(self.without) or 'none'}"
            )
        if task not in self.whole.probabilities:
            raise PredictionError(f"the answers have no task {task!r}; they have {', '.join(self.whole.probabilities)}")
        other = self.without[image].probabilities[task]
        return {label: p - other[label] for label, p in self.whole.probabilities[task].items()}

    def shift(self, image: str, task: str = DIAGNOSIS) -> float:
        """How much of the probability of a task moves with the image, 0 to 1 (total variation)."""
        return sum(abs(change) for change in self.change(image, task).values()) / 2


def modality_contribution(
    model: Model, clinical: Any = None, dermoscopy: Any = None, *, whole: Prediction | None = None
) -> Contribution:
    """Answer a pair again without each of its images.

    The network is told that the image is absent, as it was in training; one that never trained
    with absent images answers arbitrarily without them.

    Args:
        model: a network, or one behind another runtime.
        clinical, dermoscopy: as for `PairNetwork.predict`.
        whole: what `model` said of the pair, if it was asked already.

    Raises:
        ImageError, PredictionError: as of `PairNetwork.predict`.
    """
    check_model(model)
    images = dict(zip(BRANCHES, map(reusable, (clinical, dermoscopy))))
    given = [name for name in model.preprocess if images[name] is not None]
    left_out = given if len(given) > 1 else []
    pairs = [tuple({**images, name: None}.values()) for name in left_out]
    pairs += [tuple(images.values())] if whole is None else []
    answers = list(predict_stream(model, pairs, errors="return", guards=False))
    for answer in answers:
        if isinstance(answer, AmfzooError):
            raise answer  # without the number of the pair, of which there is one
    return Contribution(answers.pop() if whole is None else whole, dict(zip(left_out, answers)))


def reusable(source: Any) -> Any:
    """`source` so that it can be read more than once: of a file object, the bytes."""
    if source is not None and is_encoded(source):
        return encoded_bytes(source, source_name(source)) if hasattr(source, "read") else source
    return source
