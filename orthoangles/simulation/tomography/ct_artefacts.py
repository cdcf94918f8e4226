"""What a cone-beam scanner adds to a volume: scatter, beam hardening, streaks, noise, blur, rings, its field of view.

Scatter, hardening and the streaks of metal are not painted: the coarse volume is projected slice by slice over half a
turn, the detector's error is put on each ray, and the error alone is reconstructed by filtered back-projection. So
cupping, dark bands between dense bones, streaks about metal and noise that grows inside the foot follow by themselves.
Parallel rays stand for the cone, and 2 to 3 mm for the detector's pixel: fine streaks are not modelled.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

WATER = 0.0206
"""Attenuation of water per mm at 60 keV, the mean energy of a 110 to 120 kV beam (NIST XCOM)."""
_DENSE = 200.0  # HU above which attenuation counts as bone or metal for beam hardening (inferred)
_STARVED = 3e-5  # least share of the photons that a detector pixel reads (inferred)


@dataclass(frozen=True)
class Detector:
    """Errors of the projections.

    ``scatter``: share of the open beam that every pixel reads beside the primary photons; ``hardening``: how much less
    rays through bone read, per squared attenuation; ``noise``: standard deviation of one reading in the open beam, as
    far as it survives at the coarse step; ``views`` over half a turn.
    """

    scatter: float = 0.01
    hardening: float = 0.12
    noise: float = 0.0
    views: int = 60


def reconstructed_errors(
    hu: np.ndarray, step: float, centre: tuple[float, float], detector: Detector, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Errors in HU (nx, ny, nz) float32, and noise relative to that in empty air (nx, ny, nz), of a coarse volume.

    ``hu`` (nx, ny, nz) with nodes ``step`` mm apart; the scanner turns about ``centre`` (x, y), in nodes.
    """
    import torch

    nx, ny, nz = hu.shape
    size = 2 * int(np.ceil(max(np.hypot(max(cx, nx - 1 - cx), max(cy, ny - 1 - cy)) for cx, cy in [centre]))) + 3
    volume = torch.from_numpy(np.ascontiguousarray(hu.transpose(2, 0, 1)))
    attenuation = ((volume + 1000.0) / 1000.0).clamp_(min=0.0).mul_(WATER)
    dense = (volume - _DENSE).clamp_(min=0.0).mul_(WATER / 1000.0)
    # x and y of the nodes of a square about the axis of rotation.
    place = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    angles = np.pi * (np.arange(detector.views) + rng.uniform()) / detector.views
    both = torch.cat([attenuation, dense])
    rays = torch.stack([_project(both, place, centre, float(angle)) for angle in angles]) * step
    primary, hard = rays[:, :nz], rays[:, nz:]
    read = torch.log((torch.exp(-primary) + detector.scatter).clamp_(min=_STARVED) / (1.0 + detector.scatter)).neg_()
    # Saturating, so that metal does not outweigh all else: its rays are filtered hard already.
    error = read - primary - detector.hardening * hard / (1.0 + hard) * (primary + hard) * 0.5
    if detector.noise:
        drawn = torch.from_numpy(rng.standard_normal(tuple(error.shape), dtype=np.float32))
        error += detector.noise * drawn * torch.exp(0.5 * read)
    filtered = _ramp_filtered(error, step)
    x = torch.arange(nx, dtype=torch.float32)[:, None] - centre[0]
    y = torch.arange(ny, dtype=torch.float32)[None, :] - centre[1]
    shift = _back_project(filtered, angles, x, y, size).mul_(np.pi * 1000.0 / WATER)
    variance = _back_project(torch.exp(read), angles, x, y, size)
    variance = variance.clamp_(min=1.0)
    return shift.permute(1, 2, 0).numpy(), variance.sqrt_().permute(1, 2, 0).numpy()


def _project(volume: "Tensor", place: "Tensor", centre: tuple[float, float], angle: float) -> "Tensor":
    """Sums (channels, rays) of ``volume`` (channels, nx, ny) along parallel rays at ``angle`` to the y axis."""
    import torch

    nx, ny = volume.shape[1:]
    cosine, sine = np.cos(angle), np.sin(angle)
    x = centre[0] + place[:, None] * cosine - place[None, :] * sine
    y = centre[1] + place[:, None] * sine + place[None, :] * cosine
    # grid_sample takes the last axis first, -1 and 1 being its first and last nodes.
    grid = torch.stack([2.0 * y / max(ny - 1, 1) - 1.0, 2.0 * x / max(nx - 1, 1) - 1.0], dim=-1)[None]
    turned = torch.nn.functional.grid_sample(volume[None], grid, padding_mode="zeros", align_corners=True)
    return turned[0].sum(dim=2)


def _ramp_filtered(rows: "Tensor", step: float) -> "Tensor":
    """Each row filtered by the ramp with a Hann window, as filtered back-projection needs; units 1/mm."""
    import torch

    count = rows.shape[-1]
    length = 1 << int(np.ceil(np.log2(2 * count)))
    # The ramp's exact samples in space (Kak and Slaney): its transform is right at low frequencies, unlike |f| itself.
    n = np.fft.fftfreq(length, 1.0 / length)
    kernel = np.zeros(length)
    kernel[0] = 0.25
    odd = n.astype(int) % 2 == 1
    kernel[odd] = -1.0 / (np.pi * n[odd]) ** 2
    response = np.fft.rfft(kernel).real * (0.5 + 0.5 * np.cos(np.pi * np.arange(length // 2 + 1) / (length // 2)))
    spectrum = torch.fft.rfft(rows, n=length) * torch.from_numpy(response.astype(np.float32))
    return torch.fft.irfft(spectrum, n=length)[..., :count] / step


def _back_project(rows: "Tensor", angles: np.ndarray, x: "Tensor", y: "Tensor", size: int) -> "Tensor":
    """Mean over the views of the value of each node's ray: ``rows`` (views, slices, rays) to (slices, nx, ny)."""
    import torch

    total = torch.zeros(rows.shape[1], x.shape[0] * y.shape[1])
    for row, angle in zip(rows, angles, strict=True):
        at = (x * float(np.cos(angle)) + y * float(np.sin(angle)) + (size - 1) / 2).clamp_(0, size - 1.001).reshape(-1)
        low = at.to(torch.int64)
        share = at - low
        columns = row.T.contiguous()
        total += (columns[low] * (1 - share)[:, None] + columns[low + 1] * share[:, None]).T
    return (total / len(angles)).reshape(rows.shape[1], x.shape[0], y.shape[1])


def noise_block(rng: np.random.Generator, spacing: float, cutoff: float, shape=(144, 160, 96)) -> np.ndarray:
    """Periodic noise (nx, ny, nz) float32 of unit variance with the power spectrum of filtered back-projection.

    Within slices power rises with frequency f (the ramp) and falls as exp(-f / ``cutoff``) with kernel and detector;
    along z it falls alike. ``cutoff`` in cycles per mm; 0.23 fits the air of the real scan.
    """
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(rng.standard_normal(shape, dtype=np.float32))
    fx, fy = np.fft.fftfreq(shape[0], spacing)[:, None], np.fft.fftfreq(shape[1], spacing)[None, :]
    within = np.hypot(fx, fy)
    fz = np.fft.rfftfreq(shape[2], spacing)
    # Amplitude is the root of power. Slow errors remain beside the ramp (0.1: fitted).
    amplitude = np.sqrt(within + 0.1) * np.exp(-0.5 * within / cutoff)
    spectrum *= (amplitude[:, :, None] * np.exp(-0.5 * fz / cutoff)).astype(np.float32)
    noise = irfftn(spectrum, s=shape).astype(np.float32)
    return noise / noise.std()


def add_tiled(volume: np.ndarray, block: np.ndarray, scale: np.ndarray, offset: tuple[int, int, int]) -> None:
    """Add the periodic ``block``, begun at ``offset``, times ``scale`` (as ``volume``) to ``volume``, in place."""
    rolled = np.roll(block, offset, axis=(0, 1, 2))
    steps = rolled.shape
    for i in range(0, volume.shape[0], steps[0]):
        for j in range(0, volume.shape[1], steps[1]):
            for k in range(0, volume.shape[2], steps[2]):
                part = (slice(i, i + steps[0]), slice(j, j + steps[1]), slice(k, k + steps[2]))
                a, b, c = volume[part].shape
                volume[part] += rolled[:a, :b, :c] * scale[part]


def blur(volume: np.ndarray, sigma: float) -> None:
    """Gaussian blur of ``sigma`` voxels in place, along each axis."""
    from scipy.ndimage import gaussian_filter1d

    if sigma < 0.2:
        return
    for axis in range(3):
        gaussian_filter1d(volume, sigma, axis=axis, output=volume, mode="nearest", truncate=2.5)


def smear(volume: np.ndarray, moved: tuple[int, int, int], share: float) -> np.ndarray:
    """The volume with a ghost of itself ``moved`` by whole voxels, with ``share`` of the weight: a foot that moved."""
    return (1.0 - np.float32(share)) * volume + np.float32(share) * np.roll(volume, moved, axis=(0, 1, 2))


def add_rings(
    volume: np.ndarray, centre: tuple[float, float], strength: float, rng: np.random.Generator, bands: int = 6
) -> None:
    """Rings about the axis of rotation, in place: pixels of the detector that read wrong, ``strength`` HU (SD)."""
    nx, ny, nz = volume.shape
    radius = np.hypot(np.arange(nx)[:, None] - centre[0], np.arange(ny)[None, :] - centre[1])
    index = np.rint(radius).astype(int)
    for part in np.array_split(np.arange(nz), bands):
        profile = rng.standard_normal(index.max() + 1).astype(np.float32)
        # A few pixels are worse than the rest.
        profile *= np.where(rng.random(len(profile)) < 0.06, 3.0, 0.5).astype(np.float32)
        volume[:, :, part[0] : part[-1] + 1] += (strength * profile)[index][:, :, None].astype(np.float32)


@dataclass(frozen=True)
class FieldOfView:
    """What the cone sees: a cylinder of ``radius`` mm about (x, y) = ``centre`` whose ends slope inward.

    At the distance r from the axis it reaches from ``low`` + ``slope`` r to ``high`` - ``slope`` r (mm).
    """

    centre: tuple[float, float]
    radius: float
    low: float
    high: float
    slope: float

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Whether each point (..., 3) mm is seen."""
        r = np.hypot(points[..., 0] - self.centre[0], points[..., 1] - self.centre[1])
        z = points[..., 2]
        return (r <= self.radius) & (z >= self.low + self.slope * r) & (z <= self.high - self.slope * r)

    def hide(self, volume: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray, fill: float) -> None:
        """Set to ``fill`` what is not seen of a volume whose axes are at ``x``, ``y``, ``z`` mm, in place."""
        r = np.hypot(x[:, None] - self.centre[0], y[None, :] - self.centre[1])
        volume[r > self.radius] = fill
        for k, height in enumerate(z):
            if min(height - self.low, self.high - height) < self.slope * self.radius:
                volume[:, :, k][(height < self.low + self.slope * r) | (height > self.high - self.slope * r)] = fill
