"""The scans that a progressive JPEG is built of, told from their headers alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from ..errors import ImageError

_SCANS = 100
_START, _END = b"\xda", b"\xd9"
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither a stuffed zero nor a restart
_COEFFICIENTS = 64  # of a block: the mean, and then ever finer detail


def refuse_many_scans(data: bytes, start: int, name: str) -> None:
    """A progressive JPEG costs a pass over the picture for each of its scans, of which files have about ten.

    Args:
        start: where the header of the first one ends.
    """
    if data.count(b"\xff" + _START, start) <= _SCANS:  # an eighth of the time, and enough for most
        return
    if sum(1 for _ in itertools.islice(_headers(data, start), _SCANS + 1)) > _SCANS:
        raise ImageError(f"{name}: this JPEG is built of more than {_SCANS} scans; save the picture again")


def lacks_scans(data: bytes, start: int, components: Iterable[int]) -> bool:
    """Whether a progressive JPEG ends before all bits of its components were sent, as one that was cut and closed.

    What is missing of the last scan itself does not show.

    Args:
        start: as of `refuse_many_scans`.
        components: their numbers in the file.
    """
    # of each coefficient: how many bits are to come, or 1 where none came
    missing = {component: [1] * _COEFFICIENTS for component in components}
    for header in _headers(data, start):
        for component in header[1:-3:2]:  # behind how many they are; numbers of tables stand between them
            first, last, bits = header[-3], header[-2], header[-1] & 15
            if component in missing and last < _COEFFICIENTS:
                missing[component][first : last + 1] = [bits] * (last + 1 - first)
    return any(map(any, missing.values()))


def _headers(data: bytes, start: int) -> Iterator[bytes]:
    """What stands in the header of each scan, behind its length."""
    place = data.rfind(b"\xff" + _START, 0, start)
    # marker by marker: behind the picture there may be anything, such as the film of a phone's photo
    while (found := _MARKER.search(data, place)) and found[1] != _END:
        length = max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
        place = found.end() + length
        if found[1] == _START:
            yield data[found.end() + 2 : place]
