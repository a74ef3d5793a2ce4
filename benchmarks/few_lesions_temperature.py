"""Which temperature a few lesions should give.

    python -m benchmarks.few_lesions_temperature [--runs FOLDER ...] [--draws 100] [--out temperature_table.md]

Answers whose temperature is undone: those of the released weights to their held-out lesions (`results/`), and those of the runs
of `benchmarks.fine_tuning` to its test lesions, where `--runs` names their folders. Of each task some cases are drawn at
random; a temperature is fitted to them and judged on the others. Told is the mean log loss (nats) beyond that of the one
temperature that is best for all cases, so 0 cannot be had:

    none           the probabilities as the network gives them
    likelihood     Guo et al., ICML 2017
    Platt          the same, where each of N cases counts as 1 / (N + 2) of the other classes (Platt, 1999)
    prior S        the same, with a normal distribution of log T around 0 with the standard deviation S;
                   `amfzoo.evaluation.fit_temperatures` is one of these
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from amfzoo import create_model
from amfzoo.evaluation import Cases, apply_temperatures
from amfzoo.evaluation.calibration import PRIOR, TEMPERATURES, fit_temperature
from amfzoo.files import replacing
from amfzoo.text_tables import table

SIZES, PRIORS = (10, 20, 40, 100), (1.0, 0.5, PRIOR, 0.3)
LEAST = 400  # cases, so that others are left to judge on
RELEASED = Path(__file__).parent.parent / "results"
Fit = Callable[[np.ndarray, np.ndarray], float]  # (N,) labels, (N, C) probabilities -> temperature


def log_loss(labels: np.ndarray, probabilities: np.ndarray, temperature: float) -> float:
    scaled = np.log(probabilities) / temperature
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]))


def platt(labels: np.ndarray, probabilities: np.ndarray) -> float:
    log_p = np.log(probabilities)
    own = log_p[np.arange(len(labels)), labels]
    others = (log_p.sum(1) - own) / (log_p.shape[1] - 1)
    wanted = own + (others - own) / (len(labels) + 2)

    def loss(log_t: float) -> float:
        t = np.exp(log_t)
        return float(np.mean(logsumexp(log_p / t, axis=1) - wanted / t))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


likelihood: Fit = partial(fit_temperature, prior=math.inf)
WAYS: dict[str, Fit] = {
    "none": lambda labels, probabilities: 1.0,
    "likelihood": likelihood,
    "Platt": platt,
    **{f"prior {width:g}": partial(fit_temperature, prior=width) for width in PRIORS},
}


def answers(runs: Sequence[Path]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What is answered, the (N,) labels, and the (N, C) probabilities without a temperature."""
    found = [(file.parent.name, file.parent.name, file) for file in sorted(RELEASED.glob("*/validation_both.csv"))]
    for folder in runs:
        for file in sorted(folder.glob("*/test.csv")):
            row, model = file.parent.name.rsplit("-", 2)[0], file.parent / "model"
            if model.is_dir():
                found.append((f"{row}, fine_tuning.md", f"local-dir:{model}", file))
    for title, name, file in found:
        temperatures, cases = create_model(name, pretrained=True).config.temperatures, Cases.read(file)
        cases = apply_temperatures(
            cases, {task: 1 / value for task, value in temperatures.items() if task in cases.tasks}
        )
        for task in cases.tasks:
            known = cases.known(task)
            if known.sum() >= LEAST:
                kind = "" if task == "diagnosis" else ", criteria"
                yield title + kind, cases.labels[task][known], np.clip(cases.probabilities[task][known], 1e-12, None)


def beyond(lowest: float, labels: np.ndarray, probabilities: np.ndarray, count: int, draws: int) -> dict[str, float]:
    """Way -> mean log loss, beyond that of the temperature `lowest`, of the cases that are left when `count` were drawn."""
    random = np.random.default_rng(0)
    sums = dict.fromkeys(WAYS, 0.0)
    for _ in range(draws):
        order = random.permutation(len(labels))
        own, others = order[:count], order[count:]
        least = log_loss(labels[others], probabilities[others], lowest)
        for way, fit in WAYS.items():
            sums[way] += log_loss(labels[others], probabilities[others], fit(labels[own], probabilities[own])) - least
    return {way: value / draws for way, value in sums.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders that benchmarks.fine_tuning wrote")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--out", type=Path, help="a file for the table, besides printing it")
    args = parser.parse_args(argv)
    found: dict[str, list[tuple[float, dict[int, dict[str, float]]]]] = {}
    for title, labels, probabilities in answers(args.runs):
        lowest = likelihood(labels, probabilities)
        by_size = {count: beyond(lowest, labels, probabilities, count, args.draws) for count in SIZES}
        found.setdefault(title, []).append((lowest, by_size))
    rows = []
    for title, several in found.items():
        best_ones = sorted(value for value, _ in several)
        span = f"{best_ones[0]:.2f}" + (f" to {best_ones[-1]:.2f}" if len(best_ones) > 1 else "")
        for count in SIZES:
            means = [np.mean([by_size[count][way] for _, by_size in several]) for way in WAYS]
            rows.append((title, len(several), span, count, *(f"{value:.3f}" for value in means)))
    text = table(("answers", "sets of them", "best temperatures", "cases", *WAYS), rows)
    if args.out:
        with replacing(args.out) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
