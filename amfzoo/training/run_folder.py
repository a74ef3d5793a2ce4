"""The folder of a run: whose it is, what may be written there, and by one run at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..evaluation.cases import MODES
from ..files import FILE as PARTIAL
from ..files import FOLDER, alone, remove_left
from ..folder import check_replaceable, recover
from . import report
from .checkpoint import FILE, load_checkpoint
from .errors import TrainingError
from .identity import differences
from .run import CASES_FILE, MODEL_FOLDER

if TYPE_CHECKING:
    from accelerate import Accelerator

SPLIT_FILE, SHARED_CACHE = "split.csv", ".decoded"
TEST_FILE = "test_{}.csv"  # answers to the test split, by mode, where several runs are judged by it
TEST_FILES = tuple(map(TEST_FILE.format, MODES))
_LOCK = ".lock"
_WRITTEN = (CASES_FILE, report.CONFIG_FILE, report.HISTORY_FILE, report.SUMMARY_FILE)  # and split.csv


@contextmanager
def only_run(folder: Path, first: bool) -> Iterator[None]:
    """Make the folder and hold it, for all processes of one run, of which one is the `first`.

    Raises:
        TrainingError: another run holds it, or it cannot be written.
    """
    with ExitStack() as stack:
        if first:
            _hold(folder, stack)
        yield


def _hold(folder: Path, stack: ExitStack) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(alone(folder / _LOCK))
    except BlockingIOError:
        raise TrainingError(f"another run is training in {folder}; wait for its end, or name another folder") from None
    except OSError as error:
        raise TrainingError(f"the run's folder {folder} cannot be written: {error.strerror or error}") from error


def open_folder(
    folder: Path, identity: Mapping[str, Any], overwrite: bool, accelerator: Accelerator
) -> dict[str, Any] | None:
    """Find the checkpoint to go on from, if the folder holds one.

    Raises:
        TrainingError: it holds a run with other settings or data, no run although one is to be thrown away, or files that
            a run would overwrite.
        WeightsError: its model folder holds other files, which would be lost.
    """
    if accelerator.is_main_process:
        tidy(folder)
    accelerator.wait_for_everyone()
    check_replaceable(folder / MODEL_FOLDER, overwrite=True)
    # a split alone may be what a killed run had written; whoever writes one leaves another as it is
    files = {entry.name for entry in folder.iterdir()} - {SHARED_CACHE, _LOCK, SPLIT_FILE}
    accelerator.wait_for_everyone()  # before the first process writes there what the others would see
    if overwrite:
        if files and not is_run(folder):
            raise TrainingError(f"{folder} has files but no run that could be thrown away; name another folder")
        return None
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        refuse_others(folder)
        return None
    found = differences(json.loads(checkpoint["fingerprint"]), identity)
    if found:
        raise TrainingError(
            f"{folder} holds another run: {'; '.join(found[:5])}. Go on with the same settings and data, "
            "name another folder, or throw that run away with overwrite"
        )
    return checkpoint


def refuse_others(folder: Path) -> None:
    """Raise TrainingError where a run would overwrite what none has written."""
    others = [name for name in sorted((*_WRITTEN, MODEL_FOLDER)) if (folder / name).exists()]
    if others and not is_run(folder):
        if any(map(is_run, folder.glob("fold-*"))):
            raise TrainingError(
                f"{folder} holds a cross-validation, which a run without folds would overwrite; name another folder"
            )
        raise TrainingError(
            f"{folder} has {', '.join(others)}, but no run that wrote them, and a run would overwrite them; name another folder"
        )


def is_run(folder: Path) -> bool:
    """Whether a run was begun there, so that its files may be written again."""
    return (folder / FILE).exists() or report.is_config(folder / report.CONFIG_FILE)


def throw_away(folders: Iterable[Path]) -> None:
    """Remove the runs among these folders, or none of them where one cannot be; files of others, and folders that are no runs, stay.

    Raises:
        TrainingError: a run is training in one.
        WeightsError: the model folder of one holds other files, which would be lost.
    """
    runs = [folder for folder in folders if is_run(folder)]
    with ExitStack() as stack:
        for folder in runs:
            _hold(folder, stack)
            tidy(folder)
            check_replaceable(folder / MODEL_FOLDER, overwrite=True)
        for folder in runs:
            clear(folder)
            shutil.rmtree(folder / SHARED_CACHE, ignore_errors=True)
    for folder in runs:
        with suppress(OSError):  # it holds something else
            folder.rmdir()


def tidy(folder: Path) -> None:
    """Put right what a run that was killed left half written, in a folder that the caller holds."""
    recover(folder / MODEL_FOLDER)
    remove_left(folder, f".{MODEL_FOLDER}.*.{FOLDER}")
    for name in (FILE, SPLIT_FILE, *TEST_FILES, *_WRITTEN):
        remove_left(folder, f".{name}.*{PARTIAL}")


def clear(folder: Path) -> None:
    """Remove what a run wrote, and what its network answered to the test split, and nothing else; decoded pictures stay, of which
    the new one may have some already."""
    for name in (MODEL_FOLDER, report.BOARD_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
    # config.yaml last: by it a folder that was cleared by half is known as a run's
    for name in sorted((FILE, SPLIT_FILE, *TEST_FILES, *_WRITTEN), key=lambda name: name == report.CONFIG_FILE):
        (folder / name).unlink(missing_ok=True)
