"""From summed attenuation to the grey values of a film: texture, blur, window, noise and frame."""

import numpy as np


def expose(rng: np.random.Generator, total: np.ndarray, scale: float, corners: np.ndarray) -> np.ndarray:
    """Image (rows, columns) uint8 of the attenuation ``total``: the log response as a screen shows it.

    Tissue texture, blur, dynamic range compression, window, vignetting, noise, collimation and marker are
    random; ``scale`` is pixels per mm, ``corners`` (17, 4, 2) px are what a marker must not cover.
    """
    from scipy.ndimage import gaussian_filter

    rows, columns = total.shape
    total = total.astype(np.float32)
    noise = rng.standard_normal(total.shape, dtype=np.float32)
    grain = gaussian_filter(noise, 0.9 * scale, truncate=2.5)
    total += grain * np.float32(rng.uniform(0.04, 0.14) * scale)
    for wave, strength in ((4.0, 0.03), (14.0, 0.07)):
        cloud = _smooth(noise, wave * scale)
        total += cloud * np.float32(strength * rng.uniform(0.3, 1.3) / max(float(cloud.std()), 1e-9))
    total = gaussian_filter(total, rng.uniform(0.35, 0.9) * max(scale, 0.8), truncate=3)
    if rng.random() < 0.6:
        total -= np.float32(rng.uniform(0.1, 0.65)) * _smooth(total, rng.uniform(14, 45) * scale)
    low, high = np.percentile(total[::4, ::4], [rng.triangular(0.5, 2, 25), rng.uniform(97.5, 99.9)])
    high = low + (high - low) * rng.uniform(1.0, 1.5)
    level = np.clip((total - low) / max(high - low, 1e-6), 0, None)
    level = level ** np.float32(rng.uniform(0.65, 1.35))
    # A film's shoulder: dense regions saturate softly.
    level = np.minimum(level, 1) if rng.random() < 0.5 else 1 - np.exp(-1.7 * level)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    level = level * (1 + np.float32(rng.normal(0, 0.10)) * x + np.float32(rng.normal(0, 0.10)) * y)
    level = level * (1 - np.float32(rng.uniform(0, 0.25)) * np.clip(x * x + y * y, 0, 2) / 2)
    fresh = rng.standard_normal(total.shape, dtype=np.float32)
    level += fresh * np.float32(rng.uniform(0.002, 0.018))
    _frame(rng, level, corners)
    return np.clip(np.rint(level * 255), 0, 255).astype(np.uint8)


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """A wide Gaussian, taken on a coarse grid because it has no detail."""
    from scipy.ndimage import gaussian_filter

    step = max(int(sigma / 3), 1)
    if step == 1:
        return gaussian_filter(image, sigma)
    rows, columns = image.shape
    padded = np.pad(image, ((0, step + -rows % step), (0, step + -columns % step)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3))
    coarse = gaussian_filter(coarse, sigma / step, mode="nearest")
    return interpolate(interpolate(coarse, rows, step).T, columns, step).T


def _frame(rng: np.random.Generator, level: np.ndarray, corners: np.ndarray) -> None:
    """Collimated borders and a side marker, never over the spine."""
    rows, columns = level.shape
    left, right = corners[..., 0].min() - 4, corners[..., 0].max() + 5
    if rng.random() < 0.3:
        value = rng.choice([0.0] * 5 + [1.0])
        for side in range(2):
            room = left if side == 0 else columns - right
            width = int(np.clip(rng.uniform(0, 0.05) * columns, 0, max(room, 0)))
            if width:
                level[:, slice(0, width) if side == 0 else slice(columns - width, columns)] = value
    if rng.random() < 0.25:
        height, width = max(int(rows * 0.018), 3), max(int(rows * 0.011), 3)
        row = int(rng.uniform(0.02, 0.9) * rows)
        column = int(rng.uniform(0.01, 0.05) * columns)
        column = column if rng.random() < 0.5 else columns - column - width
        if column + width < left or column > right:
            level[row : row + height, column : column + max(width // 3, 1)] = 1.0
            level[row + height - max(height // 4, 1) : row + height, column : column + width] = 1.0


def interpolate(values: np.ndarray, count: int, step: int) -> np.ndarray:
    """Linear interpolation of every ``step``-th row to ``count`` rows."""
    at = np.arange(count)
    low, share = at // step, ((at % step) / step)[:, None]
    return values[low] * (1 - share) + values[low + 1] * share
