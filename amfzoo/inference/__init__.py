"""From images to `Prediction`: one pair or a stream of them."""

from .prediction import Prediction
from .predictor import predict, predict_stream

__all__ = ["Prediction", "predict", "predict_stream"]
