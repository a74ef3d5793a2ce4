"""A network behind several runtimes, named by short texts such as "openvino:bf16"."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError, WeightsError
from ..models.network import PairNetwork
from ..runtimes import RUNTIMES, Predictor, create_predictor
from ..runtimes.base import PRECISIONS
from ..runtimes.create import AUTO
from .pictures import drawn_pairs

EAGER = "torch"  # fp32; what all others are compared with
_CALIBRATED = 8  # drawn pairs
_SWITCHES = ("channels_last", "compile", "cuda_graphs")


def options_of(variant: str) -> dict[str, Any]:
    """Keywords of `create_predictor`: a runtime, then a precision and switches of torch, with colons.

    Raises:
        ConfigError: a part is unknown.
    """
    runtime, *parts = variant.split(":")
    if runtime not in (AUTO, *RUNTIMES):
        raise ConfigError(f"{variant!r}: unknown runtime {runtime!r}; known are {', '.join((AUTO, *RUNTIMES))}")
    options: dict[str, Any] = {"runtime": runtime}
    for part in parts:
        if part in PRECISIONS:
            options["precision"] = part
        elif part in _SWITCHES:
            options[part] = True
        else:
            raise ConfigError(f"{variant!r}: unknown {part!r}; known are {', '.join((*PRECISIONS, *_SWITCHES))}")
    return options


def predictors_of(
    network: PairNetwork, variants: list[str], device: str
) -> tuple[dict[str, Predictor], dict[str, str]]:
    """({variant: predictor}, {variant: why it is left out}); eager fp32 torch always comes first.

    int8 is calibrated on a few drawn pairs, on which its speed does not depend; its answers do.

    Raises:
        ConfigError: a variant names an unknown part.
    """
    made: dict[str, Predictor] = {}
    left_out: dict[str, str] = {}
    for variant in dict.fromkeys([EAGER, *variants]):
        options = options_of(variant)
        if options.get("precision") == "int8":
            options["calibration"] = [(pair.clinical, pair.dermoscopy) for pair in drawn_pairs(_CALIBRATED)]
        try:
            made[variant] = create_predictor(network, device=device, **options)
        except (ConfigError, WeightsError) as error:
            left_out[variant] = str(error)
    return made, left_out
