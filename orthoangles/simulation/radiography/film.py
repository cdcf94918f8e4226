"""From the beam behind a foot to the grey values of a radiograph: scatter, detector, noise, and a vendor's display."""

import numpy as np

from orthoangles.simulation.radiography.radiograph_style import RadiographStyle

_SCATTER_SPREAD = 25.0
"""Sigma in mm of the scatter from a foot on its detector (inferred: far wider than any bone)."""
_DARKEST = 3e-4
"""Share of the open beam below which a detector sees nothing."""


def detected(beam: np.ndarray, style: RadiographStyle, pixel: float, rng: np.random.Generator) -> np.ndarray:
    """Log attenuation (rows, columns) float32 that a detector reports for ``beam``, the share of the open beam.

    ``pixel`` mm; scatter, heel effect, blur and quantum noise as ``style`` says.
    """
    from scipy.ndimage import gaussian_filter

    rows, columns = beam.shape
    signal = beam
    if style.scatter:
        # What a path scatters leaves the foot nearly evenly: as much as it takes from the beam, weakened by the rest.
        source = wide_blur(-beam * np.log(np.maximum(beam, np.float32(_DARKEST))), _SCATTER_SPREAD / pixel)
        signal = beam + np.float32(style.scatter) * source
    if style.blur > 0.05 * pixel:
        signal = gaussian_filter(signal, style.blur / pixel, truncate=3.0)
    if any(style.heel):
        x = np.linspace(-1, 1, columns, dtype=np.float32)
        y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
        signal = signal * np.exp(np.float32(style.heel[0]) * x + np.float32(style.heel[1]) * y)
    signal = np.maximum(signal, np.float32(_DARKEST))
    if style.photons:
        noise = rng.standard_normal(beam.shape, dtype=np.float32)
        # Light spreads in the scintillator: the noise of neighbouring pixels is not independent.
        spread = min(0.10 / pixel, 0.8)
        noise = gaussian_filter(noise, spread, truncate=3.0) if spread > 0.3 else noise
        signal = signal + np.sqrt(signal / np.float32(style.photons)) * noise
        signal = np.maximum(signal, np.float32(_DARKEST))
    return -np.log(signal)


def displayed(
    attenuation: np.ndarray, read: np.ndarray, style: RadiographStyle, pixel: float
) -> tuple[np.ndarray, np.ndarray]:
    """Grey (rows, columns) float32, 0 black to 1 white, bone bright, of log ``attenuation``, and where it is clipped.

    ``read`` (rows, columns) bool: the part of the foot from which the window is set.
    """
    image = attenuation
    if style.compression:
        image = image - np.float32(style.compression) * wide_blur(image, style.compression_mm / pixel)
    if style.detail:
        image = image + np.float32(style.detail) * (attenuation - wide_blur(attenuation, style.detail_mm / pixel))
    values = image[::3, ::3][read[::3, ::3]]
    if len(values) < 50:
        values = image[::3, ::3].ravel()
    low, high = np.quantile(values, [style.low, style.high])
    width = max(float(high - low), 1e-3)
    width *= 1 + style.floor
    low = float(high) - width + style.window_shift * width
    level = np.clip((image - np.float32(low)) / np.float32(width), 0, None)
    clipped = (level <= 0) | (level >= 1)
    if style.gamma != 1.0:
        level **= np.float32(style.gamma)
    level = (1 - np.exp(np.float32(-1.9) * level)) / np.float32(1 - np.exp(-1.9)) if style.shoulder else level
    level = np.minimum(level, 1)
    return np.float32(style.black) + np.float32(style.white - style.black) * level, clipped


def aged(level: np.ndarray, style: RadiographStyle, pixel: float, rng: np.random.Generator) -> np.ndarray:
    """``level`` as an old film shows it: grain, fog, scratches."""
    from scipy.ndimage import gaussian_filter

    if style.fog:
        level = level * np.float32(1 - style.fog) + np.float32(style.fog)
    if style.grain:
        grain = gaussian_filter(rng.standard_normal(level.shape, dtype=np.float32), 0.7, truncate=3.0)
        level = level + np.float32(style.grain / 0.4) * grain * (0.4 + level * (1 - level) * 2)
    rows, columns = level.shape
    for _ in range(style.scratches):
        at = rng.uniform(0, (columns, rows))
        angle, length = rng.normal(np.pi / 2, 0.4), rng.uniform(8, 120) / pixel
        steps = np.arange(0, length)
        x = (at[0] + steps * np.cos(angle) + np.cumsum(rng.normal(0, 0.05, len(steps)))).astype(int)
        y = (at[1] + steps * np.sin(angle)).astype(int)
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        level[y[inside], x[inside]] += np.float32(rng.choice([-0.2, 0.15, 0.3]))
    return level


def wide_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of ``sigma`` px (float32), taken on a coarse grid when it is wide; edges are continued."""
    from scipy.ndimage import gaussian_filter

    step = int(min(max(sigma / 2.5, 1), 16))
    if step == 1:
        return gaussian_filter(image, sigma, truncate=3.0, mode="nearest")
    rows, columns = image.shape
    padded = np.pad(image, ((0, -rows % step), (0, -columns % step)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3))
    coarse = gaussian_filter(coarse, sigma / step, truncate=3.0, mode="nearest")
    return _stretched(_stretched(coarse, rows, step).T, columns, step).T


def _stretched(values: np.ndarray, count: int, step: int) -> np.ndarray:
    """Rows of coarse cells, ``step`` fine rows each, interpolated between the cells' centres to ``count`` rows."""
    at = np.clip((np.arange(count, dtype=np.float32) - (step - 1) / 2) / step, 0, len(values) - 1)
    low = np.minimum(at.astype(np.int64), max(len(values) - 2, 0))
    share = (at - low)[:, None].astype(np.float32)
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] * (1 - share) + values[high] * share
