"""What the columns of images of a Parquet table hold: paths as text, or the pictures themselves."""

from __future__ import annotations

from itertools import islice
from typing import Any

from ..errors import ImageError, TableError
from ..images.formats import detect_format

_LOOKED_AT = 8  # pictures
_ROWS = 1024  # that are looked through for them
_LONGEST_PATH = 4096  # bytes


def image_kind(kind: Any, column: str, table: str) -> str:
    """ "text", "bytes" or "struct"; TableError if a column can hold no images."""
    from pyarrow import types

    if _is_text(kind):
        return "text"
    if is_bytes(kind):
        return "bytes"
    if types.is_struct(kind):
        held, path = (kind.field(name).type if kind.get_field_index(name) >= 0 else None for name in ("bytes", "path"))
        # `bytes` has no type where no row has any
        if held and (is_bytes(held) or types.is_null(held)) and (path is None or _is_text(path)):
            return "struct"
    raise TableError(
        f"the column {column!r} of {table} holds {kind}; it must hold the paths of images as text, or the bytes of their "
        "files, as binary or as a struct with a field 'bytes' and, if at all, its 'path' as text"
    )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(value) or types.is_large_string(value) or types.is_string_view(value) or types.is_null(value)


def is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def check_pictures(file: Any, column: str, table: str) -> None:
    """TableError if the first cells of a column of binary are paths, as old writers leave text without its mark.

    Args:
        file: a `pyarrow.parquet.ParquetFile`.
    """
    batches = islice(file.iter_batches(_LOOKED_AT, columns=[column]), _ROWS // _LOOKED_AT)
    cells = (cell for batch in batches for cell in batch.column(column).to_pylist() if cell)
    first = list(islice(cells, _LOOKED_AT))
    if first and all(map(_seems_a_path, first)):
        raise TableError(
            f"the column {column!r} of {table} is binary, but what it holds seems to be paths, such as "
            f"{first[0].decode()[:200]!r}; cast it to text (string), or put the bytes of the files there"
        )


def _seems_a_path(cell: bytes) -> bool:
    if len(cell) > _LONGEST_PATH or b"\0" in cell or b"\n" in cell:
        return False
    try:
        cell.decode()
        detect_format(cell, "")
    except UnicodeDecodeError:
        return False
    except ImageError:
        return True
    return False
