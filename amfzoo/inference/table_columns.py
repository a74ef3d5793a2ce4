"""The columns of answers that a table gets: their names, and the cells of each prediction."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from ..errors import AmfzooError
from ..fingerprint import fingerprint
from .batch import with_precision
from .prediction import Prediction
from .table_files import PairTable
from .table_rows import IMAGE_COLUMNS, other_columns, repeated_columns

if TYPE_CHECKING:
    from .predictor import Model
    from .table_parquet import ParquetPairs

DIGITS = 8  # of a probability
WARNINGS = "warnings"  # the column that a run without guards does not write
SET_SEPARATOR = ";"  # between the classes of a prediction set, whose names may have spaces


def _nameless(model: Model) -> str:
    """The architecture, and a hash of the weights and of what makes probabilities and sets of their logits."""
    weights = getattr(model, "weights", "") or (fingerprint(model) if hasattr(model, "state_dict") else "")
    settings = model.config.to_dict()
    told = [weights, *(settings[name] for name in ("temperatures", "conformal"))]
    return f"{model.config.architecture}@{sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]}"


class AnswerColumns:
    """The columns added to the input's: names, and the cells of a prediction or an error.

    Args:
        label: what the column `model` says; default the model's name (of weights without one the architecture's, and a
            hash of them), and its precision if that is not fp32: answers of two must not be mixed in one table.
        prefix: put before every name, where they would repeat one of the input's.
        guards: whether there is a column for the warnings on the images.
        images: the input's columns of the clinical and the dermoscopy image. Where they are called otherwise than usual
            the column `model` says so, too: answers to other images must not be mixed in one table.

    Attributes:
        names: of the columns, the prefix included.
        types: str, float or int: what the cells of each say, where they are not empty.
    """

    def __init__(
        self,
        model: Model,
        label: str | None = None,
        prefix: str = "",
        guards: bool = True,
        images: Iterable[str] = IMAGE_COLUMNS,
    ) -> None:
        self.guards = guards
        if hasattr(model, "settle_info"):  # a network, whose weights may be other than those it was loaded with
            model.settle_info()
        self.label = label or with_precision(model.config.info.get("name") or _nameless(model), model)
        if others := other_columns(images):
            self.label += f", of {others}"
        self.tasks, self.conformal = model.tasks, model.config.conformal
        even = {task: dict.fromkeys(classes, 1 / len(classes)) for task, classes in model.tasks.items()}
        self._reads, self._points = tuple(model.preprocess), model.config.operating_points
        self.has_score = Prediction(even, reads=self._reads).seven_point_note is None
        added: list[tuple[str, type]] = [("model", str)]
        for task, classes in self.tasks.items():
            added += [(task, str), *((f"{task}:{name}", float) for name in classes)]
            added += [(f"{task} set", str)] if task in self.conformal else []
        added += [("missing", str), *([("seven_point_score", int)] if self.has_score else [])]
        added += [*([(WARNINGS, str)] if guards else []), ("error", str)]
        self._bare = [name for name, _ in added]
        self.names = [prefix + name for name in self._bare]
        self.types = [kind for _, kind in added]

    def header(self, table: PairTable) -> list[str]:
        """All columns of the answers to a table: its own, and the added ones."""
        return [*table.columns, *self.names]

    def check(self, table: PairTable | ParquetPairs) -> None:
        """Raise TableError if the input has a column of one of these names."""
        repeated_columns(
            [*table.columns, *self.names],
            f"the column {{}} of {table.path.name} is also one of those to be added; rename it, or put a text "
            "before the added ones, e.g. --prefix amf_",
        )

    def cells(self, answer: Prediction | AmfzooError) -> list[str]:
        if isinstance(answer, AmfzooError):
            text = " ".join(str(answer).split()) or type(answer).__name__
            text = text.encode("utf-8", "backslashreplace").decode()  # paths need not be UTF-8, tables are
            return [self.label, *[""] * (len(self.names) - 2), text]
        cells = [self.label]
        for task, classes in self.tasks.items():
            row = answer.probabilities[task]
            cells += [answer.called(task)[0], *(f"{row[label]:.{DIGITS}f}" for label in classes)]
            if task in self.conformal:
                cells.append(SET_SEPARATOR.join(answer.sets[task].classes) if task in answer.sets else "")
        score = [_or_empty(answer.seven_point_score)] if self.has_score else []
        codes = [";".join(dict.fromkeys(found.code for found in answer.warnings))] if self.guards else []
        return [*cells, " ".join(answer.missing), *score, *codes, ""]

    def called_otherwise(self, cells: Sequence[str]) -> str | None:
        """A task of which earlier `cells` call another class than these operating points do at the probabilities there.

        None where there is none, so that the cells can stand beside new ones. Tasks of more than two classes have no
        operating points, and are not looked at.

        Raises:
            ValueError: a probability is no number.
        """
        row = dict(zip(self._bare, cells))
        if row["error"]:
            return None
        rule = Prediction({}, reads=self._reads, missing=tuple(row["missing"].split()), operating_points=self._points)
        for task, classes in self.tasks.items():
            if len(classes) == 2:
                label, threshold = next(iter(rule.operating_point(task).items()), (classes[0], 0.5))
                above = float(row[f"{task}:{label}"]) - threshold
                if math.isnan(above):
                    raise ValueError(f"{task}:{label} is nan")
                # at the threshold itself the digits of the cells do not tell
                if abs(above) > 10.0**-DIGITS and (above > 0) != (row[task] == label):
                    return task
        return None


def _or_empty(value: int | None) -> str:
    return "" if value is None else str(value)
