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

if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .errors import AmfzooError as AmfzooError
    from .errors import ConfigError as ConfigError
    from .errors import ImageError as ImageError
    from .errors import PredictionError as PredictionError
    from .errors import TableError as TableError
    from .errors import UnknownModelError as UnknownModelError
    from .errors import WeightsError as WeightsError
    from .factory import create_model as create_model
    from .images import Preprocess as Preprocess
    from .images import read_image as read_image
    from .inference.prediction import Prediction as Prediction
    from .inference.predictor import predict_stream as predict_stream
    from .labels import Schema as Schema
    from .labels import Task as Task
    from .models.config import NetworkConfig as NetworkConfig
    from .models.network import PairNetwork as PairNetwork
    from .registry import list_models as list_models
    from .registry import list_pretrained as list_pretrained
    from .registry import model_info as model_info
    from .registry import register_model as register_model
    from .runtimes import Predictor as Predictor
    from .runtimes import create_predictor as create_predictor
    from .runtimes import export_model as export_model
    from .training.api import finetune as finetune
else:
    __getattr__, __dir__ = _lazy_names(__name__, _PUBLIC, ("__version__",))
