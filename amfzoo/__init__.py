"""Deep learning on pairs of skin-lesion images: a model zoo with pretrained weights.

    from amfzoo import create_model
    model = create_model("amf_small", pretrained=True)
    print(model.predict("clinical.jpg", "dermoscopy.jpg"))

Research software, not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names as _lazy_names

__version__ = "0.1.0"

# public name -> module; loaded on first use, so that `import amfzoo` needs no torch
_PUBLIC = {
    "create_model": ".factory",
    "create_predictor": ".runtimes",
    "list_models": ".registry",
    "list_pretrained": ".registry",
    "model_info": ".registry",
    "register_model": ".registry",
    "PairNetwork": ".models.network",
    "NetworkConfig": ".models.config",
    "Prediction": ".inference.prediction",
    "predict_stream": ".inference.predictor",
    "Predictor": ".runtimes",
    "export_model": ".runtimes",
    "finetune": ".training.api",
    "Preprocess": ".images",
    "read_image": ".images",
    "Schema": ".labels",
    "Task": ".labels",
    "AmfzooError": ".errors",
    "ConfigError": ".errors",
    "ImageError": ".errors",
    "PredictionError": ".errors",
    "TableError": ".errors",
    "UnknownModelError": ".errors",
    "WeightsError": ".errors",
}
__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:
    from .errors import (
        AmfzooError,
        ConfigError,
        ImageError,
        PredictionError,
        TableError,
        UnknownModelError,
        WeightsError,
    )
    from .factory import create_model
    from .images import Preprocess, read_image
    from .inference import Prediction, predict_stream
    from .labels import Schema, Task
    from .models.config import NetworkConfig
    from .models.network import PairNetwork
    from .registry import list_models, list_pretrained, model_info, register_model
    from .runtimes import Predictor, create_predictor, export_model
    from .training.api import finetune

__getattr__, __dir__ = _lazy_names(__name__, _PUBLIC, ("__version__",))
