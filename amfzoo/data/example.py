"""The bundled example pair: drawn pictures, not a real lesion. Imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from amfzoo.errors import AmfzooError


def example_pair() -> tuple[Path, Path]:
    """Paths of the bundled clinical and dermoscopy pictures (JPEG, 512 x 384, RGB).

    `amfzoo.data.synthetic.write_example` draws them.

    Raises:
        AmfzooError: the installation lacks them, or lies inside an archive.
    """
    folder = resources.files("amfzoo.data") / "example"
    clinical, dermoscopy = (Path(str(folder / f"{name}.jpg")) for name in ("clinical", "dermoscopy"))
    for path in (clinical, dermoscopy):
        if not path.is_file():
            raise AmfzooError(f"the bundled example picture {path} is missing; reinstall amfzoo as plain files")
    return clinical, dermoscopy
