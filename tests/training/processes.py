"""Runs that are killed, and runs of several processes; started by test_processes.py, since each wants processes of its own.

    python processes.py kill|share FOLDER

Children are forked after the slow imports and before torch has started a thread. Prints
one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from lesions import TINY, squares

import amfzoo.evaluation.calibration
import amfzoo.evaluation.metrics  # noqa: F401  imported here, once, for all children
from amfzoo import create_model
from amfzoo.training import checkpoint, finetune
from amfzoo.training import run as run_module

# three steps an epoch, so that checkpoints lie in the middle of one and at its end
SETTINGS = {**TINY, "epochs": 2, "batch_size": 6, "dropout": 0.2, "cache_gb": 0.0, "checkpoint_steps": 2}


def forked(action: Callable[[], None]) -> int:
    """Start a child; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        action()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """Exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def weights(folder: Path) -> dict[str, str]:
    """sha256 of all that a run has learned, by file."""
    state = torch.load(folder / checkpoint.FILE, weights_only=True)
    found = {}
    for name in ("network", "ema"):
        digest = hashlib.sha256()
        for key, value in sorted(state[name].items()):
            digest.update(key.encode() + value.contiguous().numpy().tobytes())
        found[name] = digest.hexdigest()
    found["model"] = hashlib.sha256((folder / "model/model.safetensors").read_bytes()).hexdigest()
    found["losses"] = json.dumps([row["train_loss"] for row in state["progress"]["history"]])
    return found


def kill(root: Path) -> dict:
    """Kill a run between two steps, in the middle of writing a checkpoint, and between model and checkpoint; then let it end."""
    data = squares(root / "data", 32)
    steps = {"count": 0}

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def at_step(number: int) -> Callable[[], bool]:
        def asked() -> bool:
            steps["count"] += 1
            if steps["count"] == number:
                die()
            return False

        return asked

    def go(folder: str, **more) -> None:
        finetune("amf_test", data, out=root / folder, device="cpu", progress=False, **SETTINGS, **more)

    def in_checkpoint() -> None:
        save = torch.save

        def torn(state, file) -> None:
            steps["count"] += 1
            if steps["count"] == 2:
                file.write(b"PK half of a checkpoint")
                file.flush()
                die()
            save(state, file)

        torch.save = torn
        go("killed")

    def after_model() -> None:
        run_module.Trainer.checkpoint = lambda trainer: die() if trainer.progress.done == 0 else None
        go("killed")

    attempts = [
        lambda: go("killed", should_stop=at_step(3)),
        in_checkpoint,
        after_model,
        lambda: go("killed", should_stop=at_step(1)),
    ]
    codes = [ended(forked(attempt)) for attempt in attempts]
    codes += [ended(forked(lambda: go("killed"))), ended(forked(lambda: go("whole")))]
    return {"codes": codes, "killed": weights(root / "killed"), "whole": weights(root / "whole")}


def share(root: Path) -> dict:
    """The same run by one process and by two; no batch normalisation, whose statistics are those of a process's share."""
    data = squares(root / "data", 32)
    settings = {**SETTINGS, "dropout": 0.0, "channels_last": False, "optimizer": "sgd", "lr": 0.05}
    # plain gradient descent, since Adam would hide gradients of a wrong scale
    torch.manual_seed(0)
    network = create_model("amf_test", clinical="test_convnext", dermoscopy="test_convnext2", tasks=data.tasks)

    def go(folder: str, device: str | None = "cpu", **more) -> None:
        finetune(network, data, out=root / folder, device=device, progress=False, **{**settings, **more})

    # where there is nothing else, several processes find the CPU by themselves
    found = "cpu" if torch.accelerator.is_available() else None

    def of_two(rank: int, port: int) -> Callable[[], None]:
        def action() -> None:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                              MASTER_PORT=str(port))  # fmt: skip
            go("two", found, cache_gb=1.0)
            # no averaged weights, and nothing to throw away yet
            go("bare", found, cache_gb=1.0, epochs=1, ema=0.0, overwrite=True)
            torch.distributed.destroy_process_group()

        return action

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [forked(of_two(rank, port)) for rank in range(2)]
    codes = [ended(child) for child in children] + [
        ended(forked(lambda: go("one"))),
        ended(forked(lambda: go("parts", accumulate=2))),
    ]
    states = {name: torch.load(root / name / checkpoint.FILE, weights_only=True) for name in ("one", "two", "parts")}
    gaps = {}
    for name in ("two", "parts"):
        gaps[name] = max(
            float((states[name]["network"][k] - v).abs().max()) for k, v in states["one"]["network"].items()
        )
    moved = max(
        float((network.state_dict()[k] - v).abs().max())
        for k, v in states["one"]["network"].items()
        if k in network.state_dict()
    )
    losses = {name: [row["train_loss"] for row in state["progress"]["history"]] for name, state in states.items()}
    valid = {name: [row["valid/loss"] for row in state["progress"]["history"]] for name, state in states.items()}
    bare = (root / "bare" / "model" / "model.safetensors").is_file()
    return {"codes": codes, "bare": bare, "gaps": gaps, "moved": moved, "losses": losses, "valid": valid}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"kill": kill, "share": share}[sys.argv[1]](Path(sys.argv[2]))))
