"""Bulk prediction as one would write it with torch alone: the yardstick of `bulk`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ..errors import AmfzooError
from ..inference.batch import BRANCHES
from ..models.network import PairNetwork
from .pictures import Files


class PairFiles(Dataset):
    """Pairs of JPEG files as normalised tensors, the usual torchvision way.

    Args:
        files: clinical and dermoscopy.
        network: whose sizes, means and standard deviations are taken.
    """

    def __init__(self, files: Files, network: PairNetwork) -> None:
        self.files = files
        self.transforms = {
            branch: transforms.Compose(
                [
                    transforms.Resize(prepared.size, transforms.InterpolationMode.BICUBIC),
                    transforms.ToTensor(),
                    transforms.Normalize(prepared.mean, prepared.std),
                ]
            )
            for branch, prepared in network.preprocess.items()
        }

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        paths: dict[str, Path] = dict(zip(BRANCHES, self.files[index]))
        return {
            branch: transform(Image.open(paths[branch]).convert("RGB")) for branch, transform in self.transforms.items()
        }


class OrdinaryScript:
    """A DataLoader with a worker per core, and the network in eager fp32 torch.

    The workers stay between two calls, so that their start is not counted.
    """

    def __init__(self, files: Files, network: PairNetwork, *, batch_size: int, device: str) -> None:
        self.network, self.device = network, device
        self.loader = DataLoader(
            PairFiles(files, network),
            batch_size=batch_size,
            num_workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            persistent_workers=True,
            pin_memory=device.startswith("cuda"),
        )

    def __call__(self) -> int:
        """Predict all files once; returns the number of pairs."""
        count = 0
        with torch.no_grad():
            for images in self.loader:
                tensors = [images[name].to(self.device) if name in images else None for name in BRANCHES]
                logits = self.network(*tensors)
                found = {task: values.softmax(1).cpu() for task, values in logits.items()}
                count += len(next(iter(found.values())))
        return count


class ScriptProcess:
    """`OrdinaryScript` in a process of its own, as people run it: with the memory settings of any program.

    To be used in a `with` statement, which ends the process.

    Raises:
        AmfzooError: the process ended by itself.
    """

    def __init__(self, files: Files, network: PairNetwork, *, batch_size: int, device: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        saved = network.save_pretrained(Path(self._folder.name) / "network")
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.workers = self._asked(
            {
                "files": [[str(path) for path in pair] for pair in files],
                "network": str(saved),
                "batch_size": batch_size,
                "device": device,
                "threads": torch.get_num_threads(),
            }
        )

    def __call__(self) -> int:
        """Predict all files once; returns the number of pairs."""
        return self._asked("again")

    def __enter__(self) -> ScriptProcess:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _asked(self, question: object) -> int:
        with suppress(OSError):  # it has ended, which the empty answer shows
            print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            self.__exit__()
            raise AmfzooError(
                f"the process of the ordinary torch script ended with exit code {self._process.returncode}; "
                "its error is printed above"
            )
        return int(answer)


def serve() -> None:
    """The other end of `ScriptProcess`: a line of JSON says what to predict, and each further one asks for it."""
    about = json.loads(sys.stdin.readline())
    torch.set_num_threads(about["threads"])
    network = PairNetwork.from_pretrained(about["network"]).to(about["device"])
    files = [(Path(clinical), Path(dermoscopy)) for clinical, dermoscopy in about["files"]]
    script = OrdinaryScript(files, network, batch_size=about["batch_size"], device=about["device"])
    print(script.loader.num_workers, flush=True)
    for _ in sys.stdin:
        print(script(), flush=True)


if __name__ == "__main__":
    serve()
