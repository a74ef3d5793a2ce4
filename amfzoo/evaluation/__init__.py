"""How good the probabilities are: from a table of predictions to figures with intervals.

    from amfzoo.evaluation import Cases, evaluate, write_report
    cases = Cases.read("predictions.csv")
    write_report(evaluate(cases), "report/", cases)

Scores need scikit-learn and reports matplotlib: ``pip install 'amfzoo[train]'``.
"""

from __future__ import annotations

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

__getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
