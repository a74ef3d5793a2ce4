"""One case of a drawn set: its labels, seed and split, and its files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amfzoo.files import replacing
from amfzoo.labels import CHECKLIST, DIAGNOSIS

from .lesion import draw_skin_tone
from .pair import draw_pair
from .truth import box, masks_png, read_masks

_QUALITY = 90  # of the JPEG files


@dataclass(frozen=True)
class Case:
    """What is drawn for one number of a set.

    number: from 1. seed: of the lesion. labels: task -> raw label. split: train, valid or
    test, or "" for none.
    """

    number: int
    seed: int
    labels: Mapping[str, str]
    split: str

    @property
    def skin_tone(self) -> int:
        return draw_skin_tone(self.seed)


@dataclass(frozen=True)
class Files:
    """The four files of a case, relative to the set's folder, with forward slashes."""

    clinical: str
    dermoscopy: str
    clinical_masks: str
    dermoscopy_masks: str

    @classmethod
    def of(cls, number: int, images: str = "") -> Files:
        """Those of a case whose pictures lie in ``images`` (a prefix that ends in a slash, or "")."""
        name = f"{number:06}"
        return cls(
            f"{images}clinical/{name}.jpg", f"{images}dermoscopy/{name}.jpg",
            f"masks/{name}_clinical.png", f"masks/{name}_dermoscopy.png",
        )  # fmt: skip


def write_case(folder: Path, case: Case, files: Files, size: tuple[int, int]) -> list[dict[str, str]]:
    """Draw a case, unless its files are there; returns where its findings lie, as rows of text.

    Every file is written whole or not at all, the masks last, so a case whose masks are
    there is complete.

    Returns:
        A row per picture and finding that is not absent: lesion_id, image, criterion, class,
        label, masks, left, top, right, bottom (pixels; empty where nothing of it is left) and
        area (share of the picture).

    Raises:
        OSError: a file cannot be written.
    """
    paths = [folder / name for name in vars(files).values()]
    if not all(path.is_file() for path in paths):
        findings = {name: case.labels[name] for name in CHECKLIST}
        pair = draw_pair(findings, seed=case.seed, size=size, diagnosis=case.labels[DIAGNOSIS])
        contents = (_jpeg(pair.clinical), _jpeg(pair.dermoscopy), masks_png(pair.clinical_masks, pair.clinical_lesion),
                    masks_png(pair.masks, pair.lesion))  # fmt: skip
        for path, content in zip(paths, contents):
            write_whole(path, content)
    return [
        row
        for image, masks in (("clinical", files.clinical_masks), ("dermoscopy", files.dermoscopy_masks))
        for row in _truth(folder, case, image, masks)
    ]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it; its folder must be there."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def _truth(folder: Path, case: Case, image: str, file: str) -> list[dict[str, str]]:
    masks = read_masks(folder / file)
    rows = []
    for name, task in CHECKLIST.items():
        kind = task.group(case.labels[name])
        if kind == "absent":
            continue
        corners = box(masks[name]) or ("",) * 4
        rows.append(
            {
                "lesion_id": str(case.number), "image": image, "criterion": name, "class": kind,
                "label": case.labels[name], "masks": file,
                **dict(zip(("left", "top", "right", "bottom"), map(str, corners))),
                "area": f"{masks[name].mean():.5f}",
            }
        )  # fmt: skip
    return rows


TRUTH_COLUMNS = ("lesion_id", "image", "criterion", "class", "label", "masks", "left", "top", "right", "bottom", "area")


def _jpeg(image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
