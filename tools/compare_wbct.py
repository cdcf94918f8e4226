"""Simulated WBCT beside a real one: histograms, edge sharpness, noise and its power spectrum, slices in three planes.

    python tools/compare_wbct.py REAL.nrrd BONES --output DIR [--subject ID] [--seed N]

Writes DIR/wbct.png, DIR/wbct.json and DIR/wbct.md. The simulated foot is scanned as an ankle at the real spacing.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from orthoangles.images import read_image
from orthoangles.simulation.anatomy.bones import BoneLibrary
from orthoangles.simulation.anatomy.landmarks import foot_landmarks
from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.pose.standing import stand_up
from orthoangles.simulation.tissue.tissue import foot_tissue
from orthoangles.simulation.tomography.ct_artefacts import Detector
from orthoangles.simulation.tomography.soft_tissue import SoftTissueStyle
from orthoangles.simulation.tomography.volume import simulate_wbct
from orthoangles.simulation.tomography.volume_style import VolumeStyle

# The look of ../shared/data/wbct/wbct_left_ankle.nrrd, set by hand from what this tool measures on it.
LIKE_THE_REAL = VolumeStyle(
    view="ankle",
    height=125.0,
    margin=20.0,
    cylinder=0.85,
    cone_slope=0.09,
    fill=-1019.0,
    soft=SoftTissueStyle(skin=1.1, fat=4.5, septa=0.5),
    cortex=1900.0,
    density=1.05,
    strut_spacing=0.9,
    strut_contrast=1.0,
    blur=0.33,
    gain=0.92,
    offset=15.0,
    noise=5.0,
    noise_cutoff=0.23,
    detector=Detector(scatter=0.02, hardening=0.5, noise=0.004),
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("bones", type=Path)
    parser.add_argument("--subject", default="foot_vsd_z027_R")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    image = read_image(options.real)
    real, spacing = image.array.astype(np.float32), float(image.spacing[0])
    rng = np.random.default_rng(options.seed)
    bones = stand_up(BoneLibrary(options.bones).subject(options.subject))
    landmarks = {name: point.position for name, point in foot_landmarks(bones).items()}
    foot = PosedFoot(bones, landmarks, side="L")
    volume = simulate_wbct(foot, foot_tissue(foot, rng), rng, spacing=spacing, style=LIKE_THE_REAL)
    write_comparison(real, volume.array.astype(np.float32), spacing, options.output)


def write_comparison(real: np.ndarray, simulated: np.ndarray, spacing: float, folder: Path) -> dict:
    """Measure both volumes (z, y, x) HU and write picture, JSON and Markdown into ``folder``; returns the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"real": measure(real, spacing), "simulated": measure(simulated, spacing)}
    (folder / "wbct.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    rows = [f"| {key} | {numbers['real'][key]} | {numbers['simulated'][key]} |" for key in numbers["real"]]
    (folder / "wbct.md").write_text(
        "\n".join(["| measure | real | simulated |", "|-|-|-|", *rows, ""]), encoding="utf-8"
    )
    _draw(real, simulated, spacing, numbers, folder / "wbct.png")
    return numbers


def measure(volume: np.ndarray, spacing: float) -> dict:
    """Numbers of one volume (z, y, x) of HU: modes and percentiles of tissues, noise, sharpness."""
    seen = volume > volume.min() + 8
    flat = _flat_patches(volume, seen)
    skin, bone = edge_widths(volume, spacing)
    tissue = volume[(volume > -500) & (volume < 2000)]
    dense = volume[volume > 50]
    air = volume[seen & (volume < -800)]
    body = volume[volume > -500]
    spectrum_air = noise_spectrum(volume, spacing, seen & (volume < -900))
    spectrum_tissue = noise_spectrum(volume, spacing, (volume > -450) & (volume < 0))
    return {
        "air, median HU": round(float(np.median(air)), 1),
        "soft tissue, percentiles 10 25 50 75 90 (HU -500 to 0)": _percentiles(
            tissue[tissue < 0], (10, 25, 50, 75, 90)
        ),
        "bone, percentiles 10 50 90 99 99.9 (HU over 50)": _percentiles(dense, (10, 50, 90, 99, 99.9)),
        "bone's share of the body": round(len(dense) / max(len(body), 1), 3),
        "noise SD in air, HU": flat["air"],
        "noise SD in soft tissue, HU": flat["soft"],
        "texture SD in bone of 100 to 400 HU": flat["bone"],
        "10-90 % rise at the skin, mm": skin,
        "10-90 % rise at the cortex, mm": bone,
        "noise frequency in air, mean cycles/mm": spectrum_air["mean"],
        "noise frequency in soft tissue, mean cycles/mm": spectrum_tissue["mean"],
        "power in air at 0.05 .. 1.15 cycles/mm": spectrum_air["power"],
        "power in soft tissue at 0.05 .. 1.15 cycles/mm": spectrum_tissue["power"],
    }


def _percentiles(values: np.ndarray, which: tuple[float, ...]) -> list[float]:
    return [round(float(v), 0) for v in np.percentile(values[:: max(len(values) // 500_000, 1)], which)]


def _flat_patches(volume: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Standard deviation within cubes of 9 voxels: the lower quartile where tissue is flat, the median in bone."""
    from scipy.ndimage import minimum_filter, uniform_filter

    mean = uniform_filter(volume, 9)
    deviation = np.sqrt(np.maximum(uniform_filter(volume * volume, 9) - mean * mean, 0))
    at = (slice(8, -8, 5),) * 3
    whole = minimum_filter(seen.astype(np.uint8), 9)[at] > 0
    mean, deviation = mean[at][whole], deviation[at][whole]
    found = {}
    for name, low, high, rank in (("air", -1010, -930, 50), ("soft", -300, 0, 25), ("bone", 100, 400, 50)):
        chosen = deviation[(mean > low) & (mean < high)]
        found[name] = round(float(np.percentile(chosen, rank)), 1) if len(chosen) > 20 else float("nan")
    return found


def edge_widths(volume: np.ndarray, spacing: float, count: int = 4000) -> tuple[float, float]:
    """Median width in mm over which HU rise from 10 to 90 % of a step: at the skin, and into the cortex."""
    from scipy.ndimage import map_coordinates

    rng = np.random.default_rng(0)
    middle = volume[20:-20, 20:-20, 20:-20]
    widths = []
    for low, high, reach in ((-700, -550, 3.0), (150, 400, 2.0)):
        candidates = np.argwhere((middle > low) & (middle < high)) + 20
        candidates = candidates[rng.permutation(len(candidates))[: 4 * count]]
        normals = np.stack([_slope(volume, candidates, axis) for axis in range(3)], axis=1)
        steep = np.linalg.norm(normals, axis=1)
        chosen = steep > np.percentile(steep, 60)
        points, normals = candidates[chosen][:count], (normals / np.maximum(steep, 1e-6)[:, None])[chosen][:count]
        offsets = np.arange(-reach, reach + 0.01, 0.1) / spacing
        lines = map_coordinates(
            volume, (points[:, None] + offsets[:, None] * normals[:, None]).reshape(-1, 3).T, order=1
        )
        lines = lines.reshape(len(points), -1)
        widths.append(_median_rise(lines, 0.1))
    return widths[0], widths[1]


def _slope(volume: np.ndarray, points: np.ndarray, axis: int) -> np.ndarray:
    step = np.zeros(3, dtype=int)
    step[axis] = 1
    return volume[tuple((points + step).T)] - volume[tuple((points - step).T)]


def _median_rise(lines: np.ndarray, step: float) -> float:
    """Width of the rise through the middle of each line between the lowest before it and the highest after it."""
    middle = lines.shape[1] // 2
    widths = []
    for line in lines:
        top = middle + int(np.argmax(line[middle:]))
        bottom = int(np.argmin(line[: middle + 1]))
        height = line[top] - line[bottom]
        if height < 250:
            continue
        rise = (line[bottom : top + 1] - line[bottom]) / height
        start = np.flatnonzero(rise < 0.1)
        end = np.flatnonzero(rise > 0.9)
        if len(start) and len(end):
            widths.append((end[0] - start[start < end[0]][-1]) * step)
    return round(float(np.median(widths)), 2) if widths else float("nan")


def noise_spectrum(volume: np.ndarray, spacing: float, where: np.ndarray, size: int = 32) -> dict:
    """Radial power spectrum within axial slices of squares that lie in ``where``, normalised to sum 1."""
    window = np.outer(np.hanning(size), np.hanning(size))
    frequency = np.fft.fftfreq(size, spacing)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    bins = np.arange(0.0, 1.21, 0.1)
    total, count = np.zeros((size, size)), 0
    for k in range(10, volume.shape[0] - 10, 9):
        for j in range(0, volume.shape[1] - size, size // 2):
            for i in range(0, volume.shape[2] - size, size // 2):
                part = (k, slice(j, j + size), slice(i, i + size))
                if where[part].mean() < 0.995:
                    continue
                patch = volume[part]
                rows, columns = np.mgrid[0:size, 0:size] / size
                plane = np.stack([np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2], -1).reshape(
                    -1, 6
                )
                fit = plane @ np.linalg.lstsq(plane, patch.ravel(), rcond=None)[0]
                total += np.abs(np.fft.fft2((patch - fit.reshape(size, size)) * window)) ** 2
                count += 1
    if not count:
        return {"mean": float("nan"), "power": []}
    power = np.array([total[(radius >= a) & (radius < b)].mean() for a, b in pairwise(bins)])
    power /= power.sum()
    middle = 0.5 * (bins[:-1] + bins[1:])
    return {"mean": round(float((power * middle).sum()), 3), "power": [round(float(v), 3) for v in power]}


def _draw(real: np.ndarray, simulated: np.ndarray, spacing: float, numbers: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 4, figsize=(20, 19), facecolor="white")
    for column, (name, volume) in enumerate((("real", real), ("simulated", simulated))):
        for row, (plane, cut) in enumerate(_cuts(volume)):
            for window, (low, high) in enumerate(((-1050, 1400), (-450, 250))):
                axis = axes[row, 2 * window + column]
                axis.imshow(cut, cmap="gray", vmin=low, vmax=high, origin="lower" if plane != "axial" else "upper")
                axis.set_title(f"{name}, {plane}, {low} to {high} HU", fontsize=9)
                axis.axis("off")
        body = volume[(volume > -950)]
        axes[3, 0].hist(body, bins=np.arange(-950, 1700, 25), density=True, histtype="step", label=name)
        axes[3, 1].hist(body[body > 0], bins=np.arange(0, 1800, 25), density=True, histtype="step", label=name)
        for place, key in ((2, "air"), (3, "soft tissue")):
            power = numbers[name][f"power in {key} at 0.05 .. 1.15 cycles/mm"]
            axes[3, place].plot(np.arange(len(power)) * 0.1 + 0.05, power, label=name)
            axes[3, place].set_title(f"noise power, {key}")
    axes[3, 1].set_yscale("log")
    for axis in axes[3]:
        axis.legend()
    plt.tight_layout()
    plt.savefig(path, dpi=60)
    plt.close(figure)


def _cuts(volume: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Sagittal, coronal and axial slices (rows, columns) through the middle of the bone in the upper half."""
    dense = np.argwhere(volume[::4, ::4, ::4] > 250) * 4
    k, j, i = np.median(dense, axis=0).astype(int)
    return [("sagittal", volume[:, :, i]), ("coronal", volume[:, j]), ("axial", volume[k])]


if __name__ == "__main__":
    main()
