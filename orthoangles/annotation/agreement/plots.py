"""Pictures of an agreement: a Bland-Altman page for each measurement, and the distances of all landmarks."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from orthoangles.annotation.agreement.comparisons import (
    AngleAgreement,
    AngleComparison,
    ComparedImage,
)
from orthoangles.annotation.agreement.finding import Agreement
from orthoangles.annotation.agreement.readings import Progress
from orthoangles.atomic import replacing

# Okabe and Ito's colours, which colour-blind readers tell apart; shape and position say the same as colour throughout.
_INSIDE, _OUTSIDE, _LINES = "#0072B2", "#D55E00", "#333333"
_PAIRS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))
"""Colour and marker of the pairs on a page of landmarks: more of them would be hard to tell apart."""
_UNITS = {"deg": "degrees"}
_CAPTION = (
    "Solid: bias. Dashed: limits of agreement. Grey: their 95 % intervals. Triangles: images outside the limits, "
    "the farthest named."
)
_NAMED = 3
"""Images named in a panel: those farthest outside the limits."""
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "orthoangles", "font.size": 10, "axes.titlesize": 10}
"""Texts of an SVG stay texts, and the same figures give the same file."""


def plot_agreement(agreement: Agreement, folder: Path, progress: Progress | None = None) -> list[str]:
    """Write every figure to ``folder`` as PNG and SVG; their names, relative to the folder above."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    pages = {angle.id: partial(_angle_page, angle, agreement.images) for angle in agreement.angles if _measured(angle)}
    pages |= _landmark_pages(agreement)
    names = []
    with matplotlib.rc_context(_STYLE):
        for done, (stem, draw) in enumerate(pages.items(), 1):
            names += _saved(draw(), folder, stem)
            if progress:
                progress(done / len(pages), stem)
    return names


def _saved(figure, folder: Path, stem: str) -> list[str]:
    names = [f"{stem}.png", f"{stem}.svg"]
    for name in names:
        with replacing(folder / name) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None} if name.endswith(".svg") else None)
        # The second file has the layout of the first: finding it takes longest.
        figure.set_layout_engine("none")
    return [f"{folder.name}/{name}" for name in names]


def _measured(angle: AngleAgreement) -> bool:
    return any(len(comparison.images) for comparison in angle.comparisons)


# --- one measurement
def _angle_page(angle: AngleAgreement, images: Sequence[ComparedImage]):
    """Differences against means, a panel for each pair of readings, all with the same axes (Bland and Altman 1986)."""
    shown = [comparison for comparison in angle.comparisons if len(comparison.images)]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure, panels = _panels(rows, columns, (max(8.0, 5.4 * columns), 4.6 * rows + 0.5))
    unit = _UNITS.get(angle.unit, angle.unit)
    for panel, comparison in zip(panels, shown, strict=False):
        _bland_altman(panel, comparison, images, unit)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    title = angle.name
    if angle.icc_images:
        low, high = angle.icc_interval
        title += f"\nICC(2,1) of all readers {angle.icc:.3f} ({low:.3f} to {high:.3f}), {angle.icc_images} images"
    figure.suptitle(title, fontsize=12)
    figure.supxlabel(_CAPTION, fontsize=9, color="0.3")
    return figure


def _bland_altman(panel, comparison: AngleComparison, images: Sequence[ComparedImage], unit: str) -> None:
    figures, outside = comparison.figures, comparison.outside
    means, differences = (comparison.first + comparison.second) / 2, comparison.differences
    panel.axhline(0, color="0.6", linewidth=0.8, linestyle=":")
    panel.scatter(means[~outside], differences[~outside], s=22, color=_INSIDE, alpha=0.75, linewidths=0, zorder=3)
    panel.scatter(means[outside], differences[outside], s=34, color=_OUTSIDE, marker="^", linewidths=0, zorder=3)
    (lower, upper), (of_lower, of_upper) = figures.limits, figures.limit_intervals
    lines = ((figures.bias, "-", figures.bias_interval), (lower, "--", of_lower), (upper, "--", of_upper))
    for height, style, (low, high) in lines:
        if np.isfinite([height, low, high]).all():
            panel.axhspan(low, high, color="0.5", alpha=0.15, linewidth=0)
            panel.axhline(height, color=_LINES, linewidth=1.2, linestyle=style)
            panel.annotate(
                f"{height:.1f}".replace("-", "\N{MINUS SIGN}"),
                (1, height),
                xytext=(4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                annotation_clip=False,
            )
    _name_outliers(panel, comparison, images)
    panel.margins(x=0.06, y=0.08)
    panel.tick_params(labelbottom=True, labelleft=True)
    panel.set_title(_heading(comparison))
    panel.set(xlabel=f"mean of both ({unit})", ylabel=f"difference ({unit})")


def _name_outliers(panel, comparison: AngleComparison, images: Sequence[ComparedImage]) -> None:
    far = np.abs(comparison.differences - comparison.figures.bias)
    farthest = [k for k in np.argsort(-far)[:_NAMED] if comparison.outside[k]]
    middle = np.mean(panel.get_xlim())
    for k in farthest:
        mean = (comparison.first[k] + comparison.second[k]) / 2
        side = 1 if mean < middle else -1
        panel.annotate(
            _plain(images[comparison.images[k]].label),
            (mean, comparison.differences[k]),
            xytext=(7 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )


def _heading(comparison: AngleComparison) -> str:
    figures = comparison.figures
    bias = f"bias {figures.bias:.2f}"
    if np.isfinite(figures.bias_interval).all():
        bias += f" ({figures.bias_interval[0]:.2f} to {figures.bias_interval[1]:.2f})"
    lines = [_plain(comparison.pair.name), f"{figures.cases} images; mean absolute {figures.mean_absolute:.2f}; {bias}"]
    if np.isfinite(comparison.icc):
        low, high = comparison.icc_interval
        lines.append(f"ICC(2,1) {comparison.icc:.3f} ({low:.3f} to {high:.3f})")
    return "\n".join(lines)


# --- landmarks
def _landmark_pages(agreement: Agreement) -> dict[str, Callable]:
    """A page for each three pairs: mean distance of each landmark, and a line to its 95th percentile."""
    count = len(_PAIRS)
    parts = [range(k, min(k + count, len(agreement.pairs))) for k in range(0, len(agreement.pairs), count)]
    names = ["landmarks"] if len(parts) == 1 else [f"landmarks-{k + 1}" for k in range(len(parts))]
    return {name: partial(_landmark_page, agreement, places) for name, places in zip(names, parts, strict=True)}


def _landmark_page(agreement: Agreement, places: Sequence[int]):
    """The pairs at ``places``, with a panel for mm and one for images without a spacing."""
    compared = [landmark.comparisons[k] for landmark in agreement.landmarks for k in places]
    units = [unit for unit in ("mm", "px") if any(comparison.figures(unit) for comparison in compared)] or ["px"]
    height = 2.0 + (0.16 + 0.06 * len(places)) * len(agreement.landmarks)
    figure, panels = _panels(1, len(units), (max(6.0 * len(units), 8.0), height), sharex=False)
    for panel, unit in zip(panels, units, strict=True):
        _distances(panel, agreement, places, unit)
    title = "Distance between two readings of a landmark: mean, and line to the 95th percentile"
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        title=title,
        loc="outside upper center",
        fontsize=9,
        title_fontsize=11,
        frameon=False,
    )
    return figure


def _distances(panel, agreement: Agreement, places: Sequence[int], unit: str) -> None:
    for order, (k, (colour, marker)) in enumerate(zip(places, _PAIRS, strict=False)):
        shift = 0.7 * ((order + 0.5) / len(places) - 0.5)
        told = [(row + shift, entry.comparisons[k].figures(unit)) for row, entry in enumerate(agreement.landmarks)]
        told = [(height, figures) for height, figures in told if figures]
        heights = [height for height, _ in told]
        means, high = ([figures[key] for _, figures in told] for key in ("mean", "p95"))
        panel.hlines(heights, means, high, color=colour, linewidth=1.2)
        name = _plain(agreement.pairs[k].name.replace(" \N{MINUS SIGN} ", " and "))
        panel.scatter(means, heights, color=colour, marker=marker, s=20, label=name, zorder=3)
    panel.set_yticks(range(len(agreement.landmarks)), [entry.id for entry in agreement.landmarks], fontsize=8)
    panel.set(xlabel=f"distance ({unit})", xlim=(0, None), ylim=(len(agreement.landmarks) - 0.4, -0.6))
    panel.grid(axis="x", color="0.9")
    panel.set_axisbelow(True)


def _panels(rows: int, columns: int, size: tuple[float, float], sharex: bool = True):
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False)
    return figure, list(panels.ravel())


def _plain(text: str) -> str:
    """A reader's name as it is: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")
