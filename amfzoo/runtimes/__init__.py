"""One network behind several runtimes, with the same answers: torch, ONNX Runtime, OpenVINO.

`create_predictor` makes one that predicts; `export_model` writes one for programs that do
without this package.
"""

from .base import Runtime
from .create import RUNTIMES, create_predictor
from .export import FORMATS, export_model
from .predictor import Predictor

__all__ = ["FORMATS", "RUNTIMES", "Predictor", "Runtime", "create_predictor", "export_model"]
