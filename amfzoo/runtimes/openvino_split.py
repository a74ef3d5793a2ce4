"""An OpenVINO graph in two: the first layers apart from the rest, so that each can be computed in its own precision.

bf16 keeps eight bits. The first layers compare neighbouring pixels that differ little, so most of what
bf16 changes in an answer comes from there: of `amf_small.open`'s probabilities it changes half as much, at nine tenths
of the speed, where they stay fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import openvino

# Times the numbers of the image: the most that may pass from one graph to the other. MobileNetV2's first block hands on
# 4/3; ResNet's first convolution 16/3, which would cost amf_base a seventh of its speed.
_MOST = 2
# Maps are handed on as convolutions leave and take them; otherwise both graphs turn them, a tenth of the time of `amf_small`.
_CHANNELS_LAST, _CHANNELS_FIRST = np.array([0, 2, 3, 1]), np.array([0, 3, 1, 2])


class InTwo:
    """Two compiled graphs that answer as the one that was cut.

    Args:
        front: its outputs are the inputs of `rest` called `middle`, in that order.
    """

    def __init__(self, front: Any, rest: Any, middle: Iterable[str]) -> None:
        self._parts = front, rest
        self._names = [{entry.any_name for entry in part.inputs} for part in self._parts]
        self._middle = tuple(middle)

    def __call__(self, arrays: Mapping[str, np.ndarray], **options: Any) -> Any:
        return self._through(*self._parts, arrays, **options)

    def caller(self) -> Callable[..., Any]:
        """As a call of this, beside others of its kind; see `caller`."""
        return partial(self._through, *map(caller, self._parts))

    def _through(self, front: Any, rest: Any, arrays: Mapping[str, np.ndarray], **options: Any) -> Any:
        first, second = ({k: v for k, v in arrays.items() if k in names} for names in self._names)
        found = front(first, share_outputs=True, **options)
        return rest({**second, **{name: found[i] for i, name in enumerate(self._middle)}}, **options)


def caller(compiled: Any) -> Callable[..., Any]:
    """What calls a compiled graph while others call it as well, each with one of its streams."""
    return compiled.caller() if isinstance(compiled, InTwo) else compiled.create_infer_request().infer


def in_two(model: openvino.Model) -> tuple[openvino.Model, openvino.Model, list[str]] | None:
    """(first layers, the rest, names between them); None where that would not pay, or not work.

    The cut is, of each image, the last of the smallest tensors at half its resolution: behind MobileNetV2's first
    block. ResNet's are too large to be handed on, and Transformers have none.
    """
    from openvino import Model, opset13

    model = model.clone()
    cuts = _cuts(model)
    if not cuts:
        return None
    results, places = [], {}
    for image, output in cuts.items():
        name = f"{image}_layers"
        consumers = output.get_target_inputs()  # before what is handed on becomes one
        handed = opset13.transpose(output, _CHANNELS_LAST)
        place = opset13.parameter(handed.get_output_partial_shape(0), output.get_element_type(), name)
        place.output(0).get_tensor().set_names({name})
        back = opset13.transpose(place, _CHANNELS_FIRST)
        for consumer in consumers:
            consumer.replace_source_output(back.output(0))
        results.append(opset13.result(handed))
        places[name] = place
    behind = _parameters(model.get_results())
    if any(parameter.get_friendly_name() in cuts for parameter in behind):
        return None  # something goes round the cut
    return Model(results, _parameters(results)), Model(model.get_results(), behind), list(places)


def _cuts(model: openvino.Model) -> dict[str, Any]:
    """Image -> output to cut behind; {} unless each image has one."""
    images = {p.get_friendly_name(): p for p in model.get_parameters() if p.get_partial_shape().rank == 4}
    sources: dict[str, frozenset[str]] = {}
    found: dict[str, Any] = {}
    for node in model.get_ordered_ops():
        own = {node.get_friendly_name()} & images.keys()
        inputs = (node.input_value(i).get_node().get_friendly_name() for i in range(node.get_input_size()))
        sources[node.get_friendly_name()] = of = frozenset(own).union(*(sources[name] for name in inputs))
        if len(of) != 1 or own or node.get_output_size() != 1:
            continue
        (image,) = of
        output = node.output(0)
        if _is_half(output, images[image]) and (image not in found or _channels(output) <= _channels(found[image])):
            found[image] = output
    small = all(_channels(output) <= 4 * _MOST * _channels(images[image]) for image, output in found.items())
    return found if small and found.keys() == images.keys() else {}


def _is_half(output: Any, image: Any) -> bool:
    """Whether its two last sides are half of the image's."""
    shape, whole = output.get_partial_shape(), image.get_partial_shape()
    if shape.rank.is_dynamic or shape.rank.get_length() != 4:
        return False
    if any(of[i].is_dynamic for of in (shape, whole) for i in (1, 2, 3)):
        return False
    return all(shape[i].get_length() == -(-whole[i].get_length() // 2) for i in (2, 3))


def _channels(output: Any) -> int:
    return output.get_partial_shape()[1].get_length()


def _parameters(results: Iterable[Any]) -> list[Any]:
    """The inputs that some results need."""
    seen, found, todo = set(), [], list(results)
    while todo:
        node = todo.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() == "Parameter":
            found.append(node)
        todo += [node.input_value(i).get_node() for i in range(node.get_input_size())]
    return found
