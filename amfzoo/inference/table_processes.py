"""Several processes that share one bulk prediction, as `torchrun` starts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ..errors import TableError
from ..processes import several_processes

_PATIENCE = timedelta(days=30)  # a process may be done long before the others


class Team:
    """The processes of one run; alone, all of it is at once.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1, group: Any = None) -> None:
        self.rank, self.size, self._group = rank, size, group

    def wait(self) -> None:
        """Return when all have come here.

        Raises:
            TableError: one of them has ended.
        """
        if self.size > 1:
            from torch import distributed

            try:
                distributed.barrier(self._group)
            except RuntimeError as error:
                raise TableError(
                    f"another process of this run has ended ({error}); the same command goes on where they were"
                ) from error

    def told(self, values: Sequence[int]) -> list[int]:
        """The whole numbers that the first process passes, of which there are equally many in all."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        tensor = torch.tensor(values, dtype=torch.int64)
        distributed.broadcast(tensor, 0, group=self._group)
        return tensor.tolist()


@contextmanager
def joined_team() -> Iterator[Team]:
    """The team that this process was started in (by torchrun: RANK, WORLD_SIZE, ...), or is in already."""
    if not several_processes():
        yield Team()
        return
    from torch import distributed

    ours = not distributed.is_initialized()
    if ours:
        try:
            distributed.init_process_group("gloo", timeout=_PATIENCE)
        except (ValueError, RuntimeError) as error:
            raise TableError(
                f"WORLD_SIZE says that there are several processes, which cannot find each other ({error}); start them "
                "with torchrun, or unset WORLD_SIZE"
            ) from error
    try:
        group = None if ours else distributed.new_group(backend="gloo", timeout=_PATIENCE)
        yield Team(distributed.get_rank(), distributed.get_world_size(), group)
    finally:
        if ours:
            distributed.destroy_process_group()
