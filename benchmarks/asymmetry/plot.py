"""Accuracy against parameters: one point per variant, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .table import NAMES, Line

# told apart with any colour vision (Okabe & Ito), and by their shapes in black and white
_COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9", "#000000")
_SHAPES = ("o", "s", "D", "v", "^", "P", "X")
_FILLS = ("full", "none", "left")  # of a family's points
_STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "amfzoo",  # the same file for the same figures
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_APART = 0.022  # of the axis: points of (nearly) the same size are drawn this far from each other
_WIDE = 4  # times: sizes that span more get a logarithmic axis


def draw(lines: Sequence[Line], score: str, paths: Sequence[Path], note: str) -> None:
    """Write the plot to each path, in the format of its suffix.

    Args:
        lines: at least one; ablations are left out.
        note: on data and seeds, below the axes.
    """
    lines = [line for line in lines if not line.row.ablation]
    names = list(dict.fromkeys(line.row.name for line in lines))
    families = list(dict.fromkeys(line.row.family for line in lines))
    sizes = [line.parameters / 1e6 for line in lines]
    wide = max(sizes) > _WIDE * min(sizes)
    with matplotlib.rc_context(_STYLE):
        figure = Canvas(figsize=(7.2, 3.9), layout="constrained")
        axes = figure.subplots()
        if wide:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        for line, x in zip(lines, _spread(sizes, wide)):
            found, kind = line.scores[score], names.index(line.row.name)
            axes.errorbar(
                x,
                found.value,
                yerr=[[found.value - found.low], [found.high - found.value]],
                fmt=_SHAPES[kind % len(_SHAPES)],
                color=_COLOURS[kind % len(_COLOURS)],
                fillstyle=_FILLS[families.index(line.row.family) % len(_FILLS)],
                markersize=6.5,
                elinewidth=1,
                capsize=2.5,
            )
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        if not wide:
            axes.set_xlim(left=0)
        axes.set(xlabel="parameters (millions)", ylabel=f"{NAMES[score]}, 95 % interval")
        axes.legend(handles=_keys(lines, names, families), loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        figure.supxlabel(f"{note}; points of like size are set apart", fontsize=7.5, color="0.35")
        for path in paths:
            plain = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=200, metadata=plain)


def _keys(lines: Sequence[Line], names: Sequence[str], families: Sequence[str]) -> list[Line2D]:
    """Of the legend: one per variant, and one per family where there are several."""
    titles = {line.row.name: line.row.title for line in reversed(lines)}
    keys = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=_SHAPES[i % len(_SHAPES)],
            color=_COLOURS[i % len(_COLOURS)],
            label=titles[name],
        )
        for i, name in enumerate(names)
    ]
    if len(families) > 1:
        keys += [
            Line2D(
                [],
                [],
                linestyle="",
                marker="o",
                color="0.35",
                fillstyle=_FILLS[i % len(_FILLS)],
                label=f"family {name}",
            )
            for i, name in enumerate(families)
        ]
    return keys


def _spread(sizes: Sequence[float], wide: bool) -> list[float]:
    """Where to draw each size, so that equal ones do not hide each other."""
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    gap = 1 + 3 * _APART if wide else max(sizes) * _APART
    places = list(sizes)
    for group in _close(order, sizes, gap, wide):
        for rank, i in enumerate(group):
            shift = rank - (len(group) - 1) / 2
            places[i] = sizes[i] * gap**shift if wide else sizes[i] + shift * gap
    return places


def _close(order: Sequence[int], sizes: Sequence[float], gap: float, wide: bool) -> list[list[int]]:
    """Runs of sizes that are nearer to the one before than `gap`."""
    groups: list[list[int]] = []
    for i in order:
        before = sizes[groups[-1][-1]] if groups else None
        if before is not None and (sizes[i] < before * gap if wide else sizes[i] - before < gap):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
