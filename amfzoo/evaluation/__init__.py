"""How good the probabilities are: from a table of predictions to figures with intervals.

    from amfzoo.evaluation import Cases, evaluate, write_report
    cases = Cases.read("predictions.csv")
    write_report(evaluate(cases), "report/", cases)

Scores need scikit-learn and reports matplotlib: ``pip install 'amfzoo[train]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names

# public name -> module; loaded on first use, so that a table can be read without scikit-learn
_PUBLIC = {
    "Cases": ".cases",
    "Score": ".metrics",
    "task_scores": ".metrics",
    "classification_scores": ".metrics",
    "checklist_scores": ".checklist",
    "rule_counts": ".checklist",
    "join_folds": ".folds",
    "Difference": ".paired",
    "score_intervals": ".intervals",
    "paired_difference": ".paired",
    "fit_temperatures": ".calibration",
    "apply_temperatures": ".calibration",
    "threshold_for_sensitivity": ".calibration",
    "measure_threshold": ".calibration",
    "ConformalSets": "..inference.sets",
    "fit_conformal": ".conformal",
    "coverage_report": ".conformal",
    "fit_operating_points": ".operating_point",
    "recalibrate": ".recalibration",
    "subgroup_scores": ".subgroups",
    "evaluate": ".summary",
    "write_report": ".report",
    "evaluate_model": ".run",
}
__all__ = list(_PUBLIC)

if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from ..inference.sets import ConformalSets as ConformalSets
    from .calibration import apply_temperatures as apply_temperatures
    from .calibration import fit_temperatures as fit_temperatures
    from .calibration import measure_threshold as measure_threshold
    from .calibration import threshold_for_sensitivity as threshold_for_sensitivity
    from .cases import Cases as Cases
    from .checklist import checklist_scores as checklist_scores
    from .checklist import rule_counts as rule_counts
    from .conformal import coverage_report as coverage_report
    from .conformal import fit_conformal as fit_conformal
    from .folds import join_folds as join_folds
    from .intervals import score_intervals as score_intervals
    from .metrics import Score as Score
    from .metrics import classification_scores as classification_scores
    from .metrics import task_scores as task_scores
    from .operating_point import fit_operating_points as fit_operating_points
    from .paired import Difference as Difference
    from .paired import paired_difference as paired_difference
    from .recalibration import recalibrate as recalibrate
    from .report import write_report as write_report
    from .run import evaluate_model as evaluate_model
    from .subgroups import subgroup_scores as subgroup_scores
    from .summary import evaluate as evaluate
else:
    __getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
