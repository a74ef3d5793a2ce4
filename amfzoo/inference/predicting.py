"""`predict` as a method, with types that tell one pair from many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union, overload

from .prediction import Prediction
from .predictor import predict

if TYPE_CHECKING:
    from ..images.source import ImageSource

Images = Union["list[Any]", "tuple[Any, ...]"]  # of images and None


class Predicting:
    """What answers pairs of images: a network, or one behind a runtime."""

    @overload
    def predict(
        self, clinical: Images, dermoscopy: Images | None = None, *, batch_size: int | None = None, guards: bool = True
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self, clinical: None = None, *, dermoscopy: Images, batch_size: int | None = None, guards: bool = True
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self, clinical: None, dermoscopy: Images, *, batch_size: int | None = None, guards: bool = True
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self,
        clinical: ImageSource | None = None,
        dermoscopy: ImageSource | None = None,
        *,
        batch_size: int | None = None,
        guards: bool = True,
    ) -> Prediction: ...
    def predict(
        self, clinical: Any = None, dermoscopy: Any = None, *, batch_size: int | None = None, guards: bool = True
    ) -> Prediction | list[Prediction]:
        """Calibrated probabilities for one pair or for two lists of equal length.

        Args:
            clinical, dermoscopy: path, bytes, file object, PIL image or uint8 array
                (H, W, 3), or a list of these. One of the two may be None (a list may
                hold None, too): the network then answers from the other alone.
                Large JPEG files are decoded at reduced scale (`read_image`).
            batch_size: pairs per step; it has no influence on the answer. Default 64 on CUDA, else 8 for each
                core, 16 to 64.
            guards: whether to look for mistakes with the images (swapped, blurred, no
                lesion, ...), which fills `Prediction.warnings`.

        Returns:
            One `Prediction`, or a list of them in the order given; on the CPU.

        Raises:
            ImageError: an image cannot be read.
            PredictionError: both images of a pair are missing, the lists differ in
                length, or the only image given is one the network does not read.
        """
        return predict(self, clinical, dermoscopy, batch_size=batch_size, guards=guards)
