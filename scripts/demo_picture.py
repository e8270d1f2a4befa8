"""Draws what the demo found: sample digits, every model's prediction, and how far logits differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

SAMPLES = 14
MISTAKES = 4
"""How many of the samples may be digits that the trained model takes for another."""

INK = "#1f2933"
QUIET = "#7b8794"
RIGHT, WRONG, ODD = "#e3f4ea", "#fde3df", "#c81e1e"
BAR = "#3b7dd8"
SMALLEST = 1e-8
"""Where the axis of differences begins; an exact zero stands there."""


class Shown(Protocol):
    """What is drawn of a model."""

    @property
    def name(self) -> str: ...
    @property
    def logits(self) -> np.ndarray: ...
    @property
    def predictions(self) -> np.ndarray: ...


def draw(
    file: Path,
    images: np.ndarray,
    labels: np.ndarray,
    models: Sequence[Shown],
    tolerance: float,
) -> None:
    """Write the picture.

    Args:
        file: a PNG; its folder is made where it is missing.
        images: the test digits, ``(n, 8, 8, 1)``.
        labels: what they are.
        models: the one that was trained, then those that came of it.
        tolerance: the largest difference that counts as rounding.
    """
    figure = Figure(figsize=(13, 8.2), dpi=130, facecolor="white", layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(2.0, 1))
    accuracy = float(np.mean(models[0].predictions == labels))
    figure.suptitle(
        "One network, trained in Flax NNX, in every framework",
        x=0.012, ha="left", fontsize=16, fontweight="bold", color=INK,
    )  # fmt: skip
    chosen = samples(models[0].predictions, labels)
    above.set_title(
        f"What each model takes a digit for ({accuracy:.1%} of {len(labels)} test digits are right"
        "; small: largest difference of a logit to the trained model)",
        loc="left", fontsize=10.5, color=QUIET, pad=10,
    )  # fmt: skip
    draw_predictions(above, images, labels, models, chosen)
    below.set_title(
        "How far the logits of all test digits are from the trained model's",
        loc="left", fontsize=10.5, color=QUIET, pad=10,
    )  # fmt: skip
    draw_differences(below, models, tolerance)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def samples(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which digits to show: a few mistakes, and one of each kind in turn."""
    mistakes = np.flatnonzero(predictions != labels)[:MISTAKES]
    right = np.flatnonzero(predictions == labels)
    rounds = [
        right[labels[right] == digit][i : i + 1] for i in range(SAMPLES) for digit in range(10)
    ]
    chosen: np.ndarray = np.concatenate([*rounds])[: SAMPLES - len(mistakes)]
    return np.concatenate([chosen, mistakes])


def draw_predictions(
    axes: Axes,
    images: np.ndarray,
    labels: np.ndarray,
    models: Sequence[Shown],
    chosen: np.ndarray,
) -> None:
    """A column for each digit, a row for each model."""
    original = models[0]
    for column, index in enumerate(chosen):
        box = (column + 0.15, column + 0.85, 0.95, 0.05)
        axes.imshow(images[index, ..., 0], cmap="gray_r", extent=box, vmin=0, vmax=1)
        axes.text(column + 0.5, -0.16, str(labels[index]), ha="center", va="center", color=QUIET)
        for row, model in enumerate(models):
            digit = model.predictions[index]
            odd = digit != original.predictions[index]
            axes.add_patch(
                FancyBboxPatch(
                    (column + 0.09, row + 1.2),
                    0.82,
                    0.66,
                    boxstyle="round,pad=0.02,rounding_size=0.08",
                    facecolor=RIGHT if digit == labels[index] else WRONG,
                    edgecolor=ODD if odd else "none",
                    linewidth=2,
                )
            )
            middle = row + 1.53
            lift = 0.0 if model is original else 0.11
            axes.text(
                column + 0.5, middle - lift, str(digit),
                ha="center", va="center", fontsize=12, fontweight="bold", color=INK,
            )  # fmt: skip
            if model is not original:
                difference = np.abs(model.logits[index] - original.logits[index]).max()
                axes.text(
                    column + 0.5, middle + 0.22, f"{difference:.0e}" if difference else "0",
                    ha="center", va="center", fontsize=6.5, color=QUIET,
                )  # fmt: skip
    names = ["labelled", *(model.name for model in models)]
    heights = [-0.16, *(row + 1.53 for row in range(len(models)))]
    axes.set(xlim=(0, len(chosen)), ylim=(len(models) + 1.0, -0.4), aspect="auto")
    axes.set_yticks(heights, names)
    axes.set_xticks([])
    _bare(axes)


def draw_differences(axes: Axes, models: Sequence[Shown], tolerance: float) -> None:
    """A box for each converted model, on a logarithmic axis, beside the tolerance."""
    original, *others = models
    spread = [np.abs(model.logits - original.logits).ravel() for model in others]
    shown = [np.maximum(values, SMALLEST) for values in spread]
    axes.boxplot(
        shown, orientation="horizontal", whis=(0, 100), widths=0.5, patch_artist=True,
        boxprops={"facecolor": BAR, "edgecolor": "none", "alpha": 0.55},
        medianprops={"color": INK, "linewidth": 1.5},
        whiskerprops={"color": BAR}, capprops={"color": BAR},
    )  # fmt: skip
    axes.set_xscale("log")
    furthest = max(tolerance * 1.6, *(1.6 * values.max() for values in spread))
    axes.set(xlim=(SMALLEST * 0.7, furthest), ylim=(len(others) + 0.6, 0.4))
    powers = range(round(math.log10(SMALLEST)), math.floor(math.log10(furthest)) + 1)
    labels = [f"$10^{{{power}}}$" for power in powers]
    axes.set_xticks([10.0**power for power in powers], ["0", *labels[1:]])
    axes.minorticks_off()
    for row, values in enumerate(spread, start=1):
        largest = values.max()
        text = f"largest {largest:.1e}" if largest else "bit for bit the same"
        axes.annotate(
            text, (1, row), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=9.5, color=INK,
        )  # fmt: skip
    axes.axvline(tolerance, color=ODD, linestyle="--", linewidth=1.2)
    axes.annotate(
        f"tolerance {tolerance:g}", (tolerance, 1), (0, 5), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="center", fontsize=9, color=ODD,
    )  # fmt: skip
    axes.set_yticks(range(1, len(others) + 1), [model.name for model in others])
    axes.set_xlabel("absolute difference of a logit (box: middle half, line: median)", color=QUIET)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
