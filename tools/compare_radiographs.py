"""Lay simulated radiographs beside real ones, and compare them in numbers.

    python tools/compare_radiographs.py --real ../shared/data/foot_lateral/images --view lateral \
        --bones ../shared/data/bones --count 24 --out compare

Writes ``sheet.png`` (real left, simulated right) and ``figures.json``. The simulated ones come from feet of the bone
library put upright, or from ``--simulated FOLDER`` of pictures. All are brought to one size (``--size``; the public
lateral images were stretched to a square, so the simulated ones are stretched alike), and their greys to 0..1.
"""

import argparse
import json
from pathlib import Path

import numpy as np

SUFFIXES = {".png", ".jpg", ".jpeg"}


def main() -> None:
    """Read, simulate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder of real radiographs")
    parser.add_argument("--view", choices=("ap", "lateral"), required=True)
    parser.add_argument("--simulated", type=Path, help="folder of simulated ones; made here when absent")
    parser.add_argument("--bones", type=Path, help="bone library to simulate from; the procedural bones when absent")
    parser.add_argument("--subjects", type=int, default=3, help="feet to take from the bone library")
    parser.add_argument("--count", type=int, default=24, help="images of each kind")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 640), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--show", type=int, nargs=2, default=(270, 400), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    real = read_folder(options.real, options.count, options.size, rng)
    if options.simulated:
        simulated = read_folder(options.simulated, options.count, options.size, rng)
    else:
        simulated = simulate(options.bones, options.subjects, options.view, options.count, options.size, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = compare(real, simulated)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    sheet(real, simulated, options.show, options.out / "sheet.png")
    for name, values in figures.items():
        print(f"{name}: {values}")


def read_folder(folder: Path, count: int, size: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """``count`` pictures of ``folder`` chosen at random, as float32 in 0..1 of ``size``."""
    from PIL import Image

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))}).")
    chosen = rng.permutation(len(paths))[:count]
    return [_sized(np.asarray(Image.open(paths[k]).convert("L")), size) for k in chosen]


def simulate(
    bones: Path | None, subjects: int, view: str, count: int, size: tuple[int, int], seed: int
) -> list[np.ndarray]:
    """``count`` simulated radiographs in random styles."""
    from orthoangles.simulation.radiography.projection import view_camera
    from orthoangles.simulation.radiography.radiograph import render_radiograph
    from orthoangles.simulation.tissue.tissue import foot_tissue

    feet = _feet(bones, subjects)
    images = []
    for case in range(count):
        rng = np.random.default_rng([seed, case])
        foot = feet[case % len(feet)]
        tissue = foot_tissue(foot, rng)
        image = render_radiograph(foot, tissue, view_camera(foot, tissue, view, rng), rng).image
        # Half of the real ones are left feet.
        images.append(_sized(image[:, ::-1] if case % 2 else image, size))
    return images


def _feet(folder: Path | None, subjects: int) -> list:
    from orthoangles.simulation.anatomy.bones import BoneLibrary
    from orthoangles.simulation.anatomy.landmarks import foot_landmarks
    from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
    from orthoangles.simulation.pose.posed_foot import PosedFoot, rest_foot
    from orthoangles.simulation.pose.standing import stand_up

    if folder is None:
        return [rest_foot(procedural_foot())]
    library = BoneLibrary(folder)
    whole = [name for name in library.subjects("foot") if "jia" not in name][::2][:subjects]
    feet = []
    for name in whole:
        placed = stand_up(library.subject(name))
        landmarks = {key: point.position for key, point in foot_landmarks(placed).items()}
        feet.append(PosedFoot(placed, landmarks))
    return feet


def _sized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(image)).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(small, dtype=np.float32) / 255


def compare(real: list[np.ndarray], simulated: list[np.ndarray]) -> dict:
    """Figures of both kinds: medians over the images, with the 10th and 90th percentile, and the distances."""
    figures = {"images": {"real": len(real), "simulated": len(simulated)}}
    kinds = {"real": real, "simulated": simulated}
    measures = {
        name: {kind: [figure(im) for im in images] for kind, images in kinds.items()}
        for name, figure in FIGURES.items()
    }
    for name, by_kind in measures.items():
        figures[name] = {
            kind: [round(float(v), 5) for v in np.quantile(values, [0.1, 0.5, 0.9])] for kind, values in by_kind.items()
        }
    histograms = {kind: np.mean([grey_histogram(im) for im in images], axis=0) for kind, images in kinds.items()}
    difference = np.cumsum(histograms["real"] - histograms["simulated"])
    figures["grey histogram: earth mover's distance (0..1)"] = round(float(np.abs(difference).mean()), 4)
    spectra = {kind: np.array([radial_spectrum(im) for im in images]) for kind, images in kinds.items()}
    middle = {kind: np.median(values, axis=0) for kind, values in spectra.items()}
    figures["power spectrum: bands in cycles per pixel"] = [round(float(v), 4) for v in _BANDS]
    for kind, values in middle.items():
        figures[f"power spectrum: {kind}, log10"] = [round(float(v), 2) for v in values]
    gap = middle["real"] - middle["simulated"]
    figures["power spectrum: rms difference, dB"] = round(float(10 * np.sqrt((gap**2).mean())), 2)
    spread = np.std(spectra["real"], axis=0)
    figures["power spectrum: rms spread among real ones, dB"] = round(float(10 * np.sqrt((spread**2).mean())), 2)
    return figures


def grey_histogram(image: np.ndarray) -> np.ndarray:
    """Shares of 64 grey levels."""
    counts = np.histogram(image, bins=64, range=(0, 1))[0]
    return counts / counts.sum()


def _gradient(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_gradient_magnitude

    low, high = np.quantile(image, [0.01, 0.99])
    return gaussian_gradient_magnitude(image, 1.0) / max(float(high - low), 0.05)


def noise(image: np.ndarray) -> float:
    """Standard deviation of noise after Immerkaer (1996), the median over tiles that are neither black nor white."""
    from scipy.ndimage import convolve

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    high = np.abs(convolve(image, kernel)) * np.float32(np.sqrt(np.pi / 2) / 6)
    rows, columns = (count // 16 * 16 for count in image.shape)

    def tiles(array: np.ndarray) -> np.ndarray:
        return array[:rows, :columns].reshape(rows // 16, 16, columns // 16, 16).mean(axis=(1, 3))

    level = tiles(image)
    used = tiles(high)[(level > 0.1) & (level < 0.9)]
    return float(np.median(used)) if len(used) else 0.0


_BANDS = np.geomspace(0.005, 0.45, 12)


def radial_spectrum(image: np.ndarray) -> np.ndarray:
    """log10 of the mean power in rings of spatial frequency, of the windowed image at unit variance."""
    rows, columns = image.shape
    window = np.hanning(rows)[:, None] * np.hanning(columns)
    centred = (image - image.mean()) / max(float(image.std()), 1e-6)
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / image.size
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns))
    edges = np.concatenate([[_BANDS[0] / 1.3], np.sqrt(_BANDS[1:] * _BANDS[:-1]), [_BANDS[-1] * 1.1]])
    ring = np.digitize(frequency.ravel(), edges)
    mean = np.bincount(ring, power.ravel(), len(edges) + 1) / np.maximum(np.bincount(ring, minlength=len(edges) + 1), 1)
    return np.log10(np.maximum(mean[1 : len(edges)], 1e-12))


FIGURES = {
    "grey: mean": lambda image: image.mean(),
    "grey: share black (< 0.04)": lambda image: (image < 0.04).mean(),
    "grey: share white (> 0.96)": lambda image: (image > 0.96).mean(),
    "gradient: median": lambda image: np.median(_gradient(image)),
    "gradient: 90 %": lambda image: np.quantile(_gradient(image), 0.9),
    "gradient: 99 %": lambda image: np.quantile(_gradient(image), 0.99),
    "noise: sigma": noise,
}


def sheet(real: list[np.ndarray], simulated: list[np.ndarray], show: tuple[int, int], path: Path) -> None:
    """Three columns of real images, a white line, three columns of simulated ones."""
    from PIL import Image

    rows = min(-(-max(len(real), len(simulated)) // 3), 6)
    canvas = Image.new("L", (6 * show[1] + 12, rows * show[0]), 255)
    for left, images in ((0, real), (3 * show[1] + 12, simulated)):
        for place, image in enumerate(images[: rows * 3]):
            small = Image.fromarray(np.rint(image * 255).astype(np.uint8)).resize((show[1], show[0]))
            canvas.paste(small, (left + place % 3 * show[1], place // 3 * show[0]))
    canvas.save(path)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    main()
