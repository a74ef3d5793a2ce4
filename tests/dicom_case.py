"""DICOM files with a patient in their header, written with pydicom, for the tests of what reads them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

pydicom = pytest.importorskip("pydicom", reason="needs the extra [dicom]")
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

PATIENT = ("Doe^Jane", "PID-4711", "19700101", "St Nowhere Hospital")
VL_PHOTO, DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.7"


def dataset(pixels: np.ndarray, kind: str, syntax=uid.ExplicitVRLittleEndian, **elements) -> Dataset:
    """An image object with a patient; `elements` replace what follows from the pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = DERMOSCOPY
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "2.25.1"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.InstitutionName = PATIENT
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = kind
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    content = pixels.tobytes()
    made.PixelData = content + b"\0" * (len(content) % 2)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    for name, value in elements.items():
        setattr(made, name, value)
    if "BitsStored" in elements:
        made.HighBit = made.BitsStored - 1
    return made


def encoded(made: Dataset) -> bytes:
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def jpeg(rgb: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", **options)
    return stream.getvalue()
