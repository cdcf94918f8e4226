"""Pictures of a landmark network's figures: calibration, agreement of angles, error of each landmark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.protocols import Protocol
from orthoangles.training.landmark_cases import LandmarkCase, angle_ids, angle_pairs, stacked
from orthoangles.training.point_metrics import angle_differences, angle_figures


def plot_calibration(path: Path, calibration: Mapping[str, Any]) -> None:
    """Expected error (from the spread) against the observed one in equally filled bins; coverage beside it."""
    figure, (left, right) = _panels(1, 2, (10, 4.8))
    expected, observed = (
        np.array([1000 * each[key] for each in calibration["bins"]]) for key in ("expected", "observed")
    )
    left.plot(expected, observed, "o-", color="tab:blue")
    most = 1.05 * max([*expected, *observed, 1e-3])
    left.plot([0, most], [0, most], color="0.5", linewidth=1)
    left.set(xlim=(0, most), ylim=(0, most))
    left.set(xlabel="expected error (NME, 1e-3)", ylabel="observed error (NME, 1e-3)", title="bins of equal size")
    right.plot([0, 100], [0, 100], color="0.5", linewidth=1)
    for name in ("point", "angle"):
        shares = calibration[f"{name}_coverage"]
        right.plot(
            [float(level) for level in shares], [100 * share for share in shares.values()], "o-", label=f"{name}s"
        )
    right.set(
        xlabel="stated probability (%)", ylabel="observed share (%)", title="coverage", xlim=(0, 100), ylim=(0, 100)
    )
    right.legend()
    figure.savefig(path, dpi=120)


def plot_agreement(path: Path, cases: Sequence[LandmarkCase], protocol: Protocol) -> None:
    """One panel per angle: differences against means, with bias and limits of agreement (Bland and Altman 1986)."""
    names = angle_ids(protocol)
    figure, axes = _panels(-(-len(names) // 2), 2, (10, 4.0 * -(-len(names) // 2)))
    titles = {entry.id: entry.name for entry in protocol.measurements}
    for panel, name in zip(axes, names, strict=False):
        truth, predicted = angle_pairs(cases, name)
        difference = angle_differences(truth, predicted)
        found = np.isfinite(difference)
        figures = angle_figures(difference)
        panel.scatter(truth[found] + difference[found] / 2, difference[found], s=12, alpha=0.7)
        for height, style in ((figures["bias"], "-"), *((limit, "--") for limit in figures["limits"])):
            panel.axhline(height, color="0.3", linestyle=style, linewidth=1)
        low, high = figures["limits"]
        panel.set_title(f"{titles[name]}: bias {figures['bias']:.2f}, limits {low:.2f} to {high:.2f}", fontsize=9)
        panel.set(xlabel="mean of both (degrees)", ylabel="predicted minus labelled")
    for panel in axes[len(names) :]:
        panel.set_axis_off()
    figure.savefig(path, dpi=120)


def plot_landmarks(path: Path, cases: Sequence[LandmarkCase], protocol: Protocol) -> None:
    """Error of each landmark, in mm where every image's scale is known, else in pixels; whiskers at 5 and 95 %."""
    errors = stacked(cases)
    unit = "mm" if np.isfinite([case.mm_per_pixel for case in cases]).all() else "px"
    columns = [column[np.isfinite(column)] for column in errors[unit].T]
    figure, (panel,) = _panels(1, 1, (max(6.0, 0.6 * len(columns)), 4.5))
    panel.boxplot(
        columns, whis=(5, 95), tick_labels=list(protocol.landmark_ids), sym="k.", flierprops={"markersize": 3}
    )
    panel.set(ylabel=f"error ({unit})", ylim=(0, None), title=f"{len(cases)} images")
    figure.savefig(path, dpi=120)


def _panels(rows: int, columns: int, size: tuple[float, float]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
