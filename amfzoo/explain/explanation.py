"""`explain`: a pass of a network over a pair, from which maps of any class can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from PIL import Image

from ..errors import ConfigError, PredictionError
from ..images import read_image
from ..inference.batch import BRANCHES, Inputs, Logits, calibrated, stack
from ..labels import DIAGNOSIS
from .attention import FusionAttention
from .class_activation import METHODS, class_activation
from .contribution import reusable
from .occlusion import covered_logits, occlusion
from .placement import Placement
from .record import Record, record
from .region_map import RegionMap

if TYPE_CHECKING:
    from ..models.network import PairNetwork

OCCLUSION = "occlusion"
_METHODS = (*METHODS, OCCLUSION)


class Explanation:
    """What one pass over a pair left behind; `explain` makes it.

    Attributes:
        probabilities: {task: {class: p}}, calibrated, as `predict` gives them.
        pictures: branch -> the picture as read, of the images given; maps are in its coordinates.
        attention: of each fusion block; empty where there is none, or an image is missing.
    """

    def __init__(
        self, model: PairNetwork, pictures: Mapping[str, Image.Image], inputs: Inputs, recorded: Record
    ) -> None:
        self.tasks = model.tasks
        self.pictures = dict(pictures)
        self._model = model
        self._inputs = inputs
        self._covered: dict[str, Logits] = {}  # branch -> of its squares; all classes share the passes
        self._record = recorded
        self._strides = {name: branch.strides for name, branch in model.branches.items()}
        self._placements = {
            name: Placement.of(model.preprocess[name], picture.size) for name, picture in pictures.items()
        }
        rows = calibrated(
            {task: values.detach().float().cpu().numpy() for task, values in recorded.logits.items()},
            model.config.temperatures,
        )
        self.probabilities = {task: dict(zip(classes, rows[task][0].tolist())) for task, classes in self.tasks.items()}
        self.attention = tuple(
            FusionAttention(found.reader, found.source, found.stride, found.weights, self.pictures, self._placements)
            for found in recorded.attended
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """No copy and no file of it can differentiate the pass that it holds: its maps would be empty."""
        raise ConfigError(
            "an Explanation holds a pass of its network, so it cannot be copied, pickled or sent to another process: "
            "send its maps (`class_map`), its `attention`, `probabilities` and `pictures`, which can"
        )

    def class_map(
        self,
        branch: str,
        task: str = DIAGNOSIS,
        label: str | None = None,
        *,
        method: str = OCCLUSION,
        stride: int | None = None,
    ) -> RegionMap:
        """Where the evidence for a class lies in one of the pictures.

        Args:
            branch: "clinical" or "dermoscopy".
            label: a class of the task; default the most probable one.
            method: "occlusion", see `occlusion`: 82 further passes of the network for the first map of an image, which its other
                maps share; or "hirescam" or "gradcam", see `class_activation`, which cost no pass.
            stride: of the feature map that the latter two look at; default all that the network pools, added up.

        Raises:
            PredictionError: the network has no such task or class, or saw no such image.
            ConfigError: unknown method or stride.
        """
        if branch not in self.pictures:
            if branch not in BRANCHES:
                raise PredictionError(f"there is no {branch!r} image; an image is one of {', '.join(BRANCHES)}")
            seen = " and ".join(self.pictures)
            raise PredictionError(f"there is no map of the {branch} image: the network saw the {seen} image alone")
        if task not in self.tasks:
            raise PredictionError(f"these weights have no task {task!r}; they have {', '.join(self.tasks)}")
        row = self.probabilities[task]
        label = max(row, key=row.__getitem__) if label is None else label
        if not isinstance(label, str) or label not in row:
            raise PredictionError(f"task {task!r} has no class {label!r}; it has {', '.join(row)}")
        if method not in _METHODS:
            raise ConfigError(f"unknown method {method!r}; known: {', '.join(_METHODS)}")
        if method == OCCLUSION and stride is not None:
            raise ConfigError(
                f"{OCCLUSION} looks at no feature map: leave out stride={stride!r}, or name another method"
            )
        strides = self._strides[branch]
        if stride is not None and stride not in strides:
            raise ConfigError(
                f"the {branch} branch has no map at stride {stride}; it has {', '.join(map(str, strides))}"
            )
        column = list(row).index(label)
        if method == OCCLUSION:
            if branch not in self._covered:
                self._covered[branch] = covered_logits(self._model, self._inputs, branch, self._record.maps)
            cells = occlusion(self._covered[branch][task], column)
        else:
            cells = class_activation(
                self._record.logits[task],
                column,
                self._record.maps[branch],
                method=method,
                stride=None if stride is None else strides.index(stride),
            )
        title = f"{task.replace('_', ' ')}: {label}, in the {branch} image"
        return RegionMap(cells, title, self.pictures[branch], self._placements[branch])


def explain(model: PairNetwork, clinical: Any = None, dermoscopy: Any = None) -> Explanation:
    """Run a pair through a network and keep what explains the answer.

    The network is left as it was: modes, gradients, hooks.

    Args:
        model: the network itself, not one behind another runtime.
        clinical, dermoscopy: as for `PairNetwork.predict`; one may be None.

    Raises:
        ImageError: an image cannot be read.
        PredictionError: no image is given that the network reads.
        ConfigError: `model` is not a `PairNetwork`.
    """
    model = getattr(model, "_orig_mod", model)  # of torch.compile, which maps cannot be had through
    if not hasattr(model, "branches"):
        raise ConfigError(
            f"a {type(model).__name__} cannot be explained, as its feature maps are out of reach: "
            "pass the network, e.g. create_model(name, pretrained=True)"
        )
    images = {name: reusable(image) for name, image in zip(BRANCHES, (clinical, dermoscopy))}
    given = [name for name in model.preprocess if images[name] is not None]
    if not given:
        raise PredictionError(f"nothing to explain: give the {' or the '.join(model.preprocess)} image")
    inputs = {
        name: preprocess(images[name]) if name in given else None for name, preprocess in model.preprocess.items()
    }
    pictures = {name: read_image(images[name]) for name in given}
    return Explanation(model, pictures, inputs, record(model, stack([inputs], model.preprocess)))
