"""The first frame of a DICOM file as a picture (needs the extra `dicom`).

Only the elements that describe pixels are read. Who the patient is never gets into a
picture or a message: errors name the file, never a value of its header.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import ImageError
from . import damage
from .dicom_frame import check_run_lengths, coded_shape, stored
from .dicom_tags import interpretation, mend_display
from .source import MAX_PIXELS, check_size

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_TAGS = [
    "SOPClassUID", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPresentation",
    "SmallestImagePixelValue", "LargestImagePixelValue", "ICCProfile",
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept",
    "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_SAMPLES = {
    **dict.fromkeys((*_GRAY, "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LOSSLESS_JPEG = ("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_LARGEST_FRAME = MAX_PIXELS * 3 * 2  # bytes: the largest picture in RGB, at 16 bits a sample
_CONVERT = "convert the file to Explicit VR Little Endian, for example with `gdcmconv --raw` or dcmtk's `dcmdjpeg`"
_LEAST_SPREAD = 1 / 12  # of the range; a picture that fills less, such as 12 bits declared as 16, would come out black
_AGAIN = "copy or export the file again"


def dicom_image(data: bytes, name: str) -> Image.Image:
    """The first frame of a DICOM file: mode L, or RGB with its ICC profile; `damage` tells of one that was copied in part.

    Gray goes through the modality and VOI transformations that the file has, then from
    the range of its stored bits to 0..255; MONOCHROME1 is inverted.

    Raises:
        ImageError: pydicom or a decoder is not installed, or the file is damaged, holds
            no picture, or one of a kind that is not read.
    """
    dataset = _dataset(data, name)
    _check_module(dataset, name)
    syntax = _transfer_syntax(dataset, name)
    picture = _picture(dataset, syntax, name)
    if isinstance(profile := dataset.get("ICCProfile"), bytes) and picture.mode == "RGB":
        picture.info["icc_profile"] = profile
    copied_in_part = not syntax.is_encapsulated and damage.stops(stored(dataset))
    return damage.mark(picture, damage.ZEROS if copied_in_part else None)


def _picture(dataset: Dataset, syntax: Any, name: str) -> Image.Image:
    try:
        pixels, kind = _pixels(dataset, syntax)
        if kind in _GRAY:
            return Image.fromarray(_gray(pixels, dataset, name, inverted=kind == "MONOCHROME1"))
        if kind == "PALETTE COLOR":
            pixels, bits = _coloured(pixels, dataset)
        else:
            bits = dataset.BitsStored
        _check_brightest(pixels, bits, name)
        return Image.fromarray(_to_bytes(pixels, 0, 2**bits - 1))
    except (MemoryError, ImageError):
        raise
    except Exception:  # decoders raise nearly anything; their words may quote the file, so none go on
        raise ImageError(
            f"{name}: the DICOM pixels ({_title(syntax)}) are truncated or damaged, or of a kind that the installed "
            f"decoders do not read; {_AGAIN}" + (f", or {_CONVERT}" if syntax.is_encapsulated else "")
        ) from None


def _dataset(data: bytes, name: str) -> Dataset:
    try:
        from pydicom import dcmread
    except ImportError as error:
        raise ImageError(
            f"{name}: reading DICOM needs pydicom: pip install 'amfzoo[dicom]', or export the photo as PNG or JPEG"
        ) from error
    if _DEFLATED.encode() in data:  # inflating has no limit in pydicom: a small file could fill the memory
        raise ImageError(f"{name}: a DICOM file that is deflated as a whole is not read here; {_CONVERT}")
    try:
        dataset = dcmread(io.BytesIO(data), specific_tags=_PIXEL_TAGS)
        list(dataset), list(dataset.file_meta)  # values are decoded when first looked at
    except MemoryError:
        raise
    except Exception:
        raise ImageError(f"{name}: the DICOM header is truncated or damaged; {_AGAIN}") from None
    return dataset


def _check_module(dataset: Dataset, name: str) -> None:
    """Refuse what holds no picture, or one too large, before anything is decoded."""
    if not dataset.get("PixelData"):
        raise ImageError(
            f"{name}: this DICOM object{_object_title(dataset)} holds no pixels, or its end is missing; "
            f"pass the image object, or {_AGAIN}"
        )
    names = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")
    values = {field: dataset.get(field) for field in names}
    wrong = [field for field, value in values.items() if not isinstance(value, int)]
    if wrong or not 0 < values["BitsStored"] <= 16:
        raise ImageError(
            f"{name}: the DICOM header does not say how its pixels are stored (up to 16 bits): "
            f"look at {', '.join(wrong) or 'BitsStored'}; {_AGAIN}"
        )
    check_size((values["Columns"], values["Rows"]), name)
    kind = dataset.get("PhotometricInterpretation")
    if values["SamplesPerPixel"] != _SAMPLES.get(str(kind)):
        raise ImageError(
            f"{name}: its DICOM photometric interpretation is not read here (MONOCHROME1, MONOCHROME2, RGB, YBR_FULL, "
            "YBR_FULL_422 and PALETTE COLOR are); export the photo as PNG or JPEG"
        )
    size = values["Rows"] * values["Columns"] * values["SamplesPerPixel"] * values["BitsAllocated"] // 8
    if size > _LARGEST_FRAME:
        raise ImageError(
            f"{name}: its pixels take {size} bytes, more than the limit of {_LARGEST_FRAME} (a decompression bomb?); "
            "make it smaller first"
        )


def _transfer_syntax(dataset: Dataset, name: str) -> Any:
    """The UID of the transfer syntax, if it can be decoded here."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
    if not syntax:
        raise ImageError(f"{name}: the DICOM header names no transfer syntax; {_AGAIN}")
    try:
        if get_decoder(syntax).is_available:
            return syntax
    except NotImplementedError:
        raise ImageError(f"{name}: the DICOM transfer syntax {_title(syntax)} is not read here; {_CONVERT}") from None
    package = "python-gdcm" if syntax in _LOSSLESS_JPEG else "'amfzoo[dicom]'"
    raise ImageError(
        f"{name}: no decoder is installed for the DICOM transfer syntax {_title(syntax)}: "
        f"pip install {package}, or {_CONVERT}"
    )


def _pixels(dataset: Dataset, syntax: Any) -> tuple[np.ndarray, str]:
    """The first frame, (rows, columns) or (rows, columns, 3) without luma and chroma, and its interpretation."""
    from pydicom.encaps import get_frame
    from pydicom.pixels import as_pixel_options, get_decoder
    from pydicom.uid import RLELossless

    if dataset.SamplesPerPixel > 1:  # always 0 in the standard; writers leave 1 in, over unsigned samples
        dataset.PixelRepresentation = 0
    if "PlanarConfiguration" not in dataset:  # needed for colour; some writers take the usual one for granted
        dataset.PlanarConfiguration = 0
    options = as_pixel_options(dataset)
    if syntax.is_encapsulated:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=options["number_of_frames"])
        if syntax == RLELossless:
            check_run_lengths(frame, dataset.Rows * dataset.Columns)
        elif coded_shape(frame) != (dataset.Columns, dataset.Rows, dataset.SamplesPerPixel):
            raise ValueError("the compressed frame has another size than the header")
        else:
            options["photometric_interpretation"] = interpretation(dataset, frame)
    pixels, found = get_decoder(syntax).as_array(dataset, index=0, **options)
    return pixels, str(found["photometric_interpretation"])


def _gray(pixels: np.ndarray, dataset: Dataset, name: str, *, inverted: bool) -> np.ndarray:
    """(H, W) uint8 as it is meant to be seen (PS3.3 C.11.1, C.11.2)."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    mend_display(dataset)
    if lut := dataset.get("ModalityLUTSequence"):
        low, high = 0.0, 2.0 ** lut[0].LUTDescriptor[2] - 1
    else:
        signed = dataset.PixelRepresentation
        low = -(2.0 ** (dataset.BitsStored - 1)) if signed else 0.0
        high = low + 2.0**dataset.BitsStored - 1
        slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
        if slope is not None and intercept is not None:
            low, high = sorted((low * float(slope) + float(intercept), high * float(slope) + float(intercept)))
    values = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    if lut := dataset.get("VOILUTSequence"):  # which pydicom prefers to a window
        low, high = 0.0, 2.0 ** lut[0].LUTDescriptor[2] - 1
    elif dataset.get("WindowCenter") is None and 0 < np.ptp(values) < _LEAST_SPREAD * (high - low):
        raise ImageError(
            f"{name}: its gray values fill {np.ptp(values) / (high - low):.1%} of the range that the DICOM header gives "
            "(BitsStored), and no window says which part to show; set WindowCenter and WindowWidth, or export the photo as PNG or JPEG"
        )
    found = _to_bytes(values, low, high)
    return 255 - found if inverted else found


def _coloured(pixels: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, int]:
    """Palette indices as (H, W, 3), and the bits of an entry."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(pixels, dataset)[..., :3]
    bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    # entries of 8 bits may stand in the upper byte of 16
    return colours, 16 if colours.max() >= 2**bits else bits


def _check_brightest(pixels: np.ndarray, bits: int, name: str) -> None:
    """Refuse colours of fewer bits than declared, which would all become black. Black alone is as it should be."""
    share = pixels.max() / (2**bits - 1)
    if bits > 8 and 0 < share < _LEAST_SPREAD:
        raise ImageError(
            f"{name}: its colours reach {share:.1%} of the range that the DICOM header gives (BitsStored, or the palette's "
            f"bits: {bits}), and would all become black; set the bits that the values have, or export the photo as PNG or JPEG"
        )


def _to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 that spread low..high over 0..255."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return np.ascontiguousarray(values)
    scaled = (values.astype(np.float32) - low) * (255 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _title(uid: Any) -> str:
    """A UID in words: its name in the standard, or its digits; never text that a file makes up."""
    from pydicom.uid import UID

    uid = str(uid or "")
    title = UID(uid).name
    return title if title != uid or re.fullmatch(r"[0-9.]{1,64}", uid) else "of no known name"


def _object_title(dataset: Dataset) -> str:
    """ " (Encapsulated PDF Storage)" or nothing."""
    title = _title(dataset.get("SOPClassUID"))
    return f" ({title})" if title.endswith("Storage") else ""
