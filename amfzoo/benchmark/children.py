"""What needs a process of its own: peak memory, and the start of a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import AmfzooError


def run_child(job: str, **arguments: Any) -> dict[str, Any]:
    """Call a function of this module in a new process; arguments and result are what JSON can hold.

    Raises:
        AmfzooError: it failed; the message has the last line of its errors.
    """
    command = [sys.executable, "-m", __name__, json.dumps({"job": job, **arguments})]
    return json.loads(run_program(command).splitlines()[-1])


def run_program(command: Sequence[str]) -> str:
    """What a program prints.

    Raises:
        AmfzooError: it failed; the message has the last line of its errors.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise AmfzooError(f"a process of the benchmark failed: {reason}")
    return ended.stdout


def peak_megabytes() -> float | None:
    """Largest resident memory of this process so far, 10^6 bytes; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # the other way would count the parent's memory as well
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def network_memory(subject: dict[str, Any], size: int, batch_size: int, threads: int) -> dict[str, Any]:
    """Peak memory on the CPU of building a network and answering one batch of noise, less that of the imports."""
    import torch

    from .cost import noise
    from .subjects import Subject

    torch.set_num_threads(threads)
    before = peak_megabytes()
    network = Subject(**{**subject, "names": tuple(subject["names"])}).build()
    with torch.inference_mode():
        network(*noise(network, batch_size, size))
    after = peak_megabytes()
    return {"megabytes": None if before is None or after is None else after - before}


def list_memory(
    model: str, pretrained: bool, variant: str, files: list[list[str]], pairs: int, batch_size: int, threads: int
) -> dict[str, Any]:
    """Peak memory and seconds of a list of pairs, the files again and again."""
    import time
    from collections import deque

    import torch

    from ..inference import predict_stream
    from .pictures import cycled
    from .subjects import Subject
    from .variants import predictors_of

    torch.set_num_threads(threads)
    network = Subject(model, "model", (model,), pretrained).build()
    predictor = predictors_of(network, [variant], "cpu")[0][variant]
    paths = [(Path(clinical), Path(dermoscopy)) for clinical, dermoscopy in files]
    start = time.perf_counter()
    deque(predict_stream(predictor, cycled(paths, pairs), batch_size=batch_size), maxlen=0)
    return {"peak": peak_megabytes(), "seconds": time.perf_counter() - start}


_JOBS = {job.__name__: job for job in (network_memory, list_memory)}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(_JOBS[asked.pop("job")](**asked)))
