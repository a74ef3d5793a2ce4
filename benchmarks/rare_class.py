"""How well a class with few lesions is ranked, if its logit is drawn to the mean of other classes' logits.

    python -m benchmarks.rare_class crossed/validation.csv --class MAL_OTH --like BCC SCCKA MEL [--task diagnosis]

What `examples/pool_rare_class.py` does to a network is done here to tables of its predictions, one row of the output each: with
share s the logit of the class becomes (1 - s) times itself and s times the mean of those of the classes it is like. Told is
the AUROC of the class against all others. Choose on lesions that the network has not learned from, best in a
cross-validation (`amfzoo train --folds 5`): there are few of them, that is the point, so more tables of other seeds help.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases
from amfzoo.text_tables import table

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def ranking(cases: Cases, task: str, name: str, like: Sequence[str], share: float) -> tuple[float, int]:
    """(AUROC of the class, how many cases have it) with `share` of its logit from the classes that it is like.

    Raises:
        ConfigError: the table has no such task or class, or no case of it.
    """
    place, others = cases.class_index(task, name), [cases.class_index(task, other) for other in like]
    known = cases.known(task)
    positive = cases.labels[task][known] == place
    if not positive.any():
        raise ConfigError(f"no case is {name}")
    logits = np.log(np.clip(cases.probabilities[task][known], 1e-12, None))
    score = (1 - share) * logits[:, place] + share * logits[:, others].mean(1)
    return float(roc_auc_score(positive, score)), int(positive.sum())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="tables of predictions with labels, as `amfzoo evaluate` reads them")
    parser.add_argument("--task", default="diagnosis")
    parser.add_argument("--class", dest="name", required=True, help="the class with few lesions")
    parser.add_argument("--like", nargs="+", required=True, metavar="CLASS", help="classes that it is drawn to")
    args = parser.parse_args(argv)
    rows = []
    for path in args.tables:
        cases = Cases.read(path)
        found = [ranking(cases, args.task, args.name, args.like, share) for share in SHARES]
        rows.append((path, found[0][1], *(f"{value:.3f}" for value, _ in found)))
    if len(rows) > 1:
        means = [sum(float(row[column]) for row in rows) / len(rows) for column in range(2, 2 + len(SHARES))]
        rows.append((f"mean of {len(rows)}", "", *(f"{value:.3f}" for value in means)))
    print(table(("table", f"cases of {args.name}", *(f"{share:g}" for share in SHARES)), rows))


if __name__ == "__main__":
    main()
