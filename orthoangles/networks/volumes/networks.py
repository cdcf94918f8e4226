"""Landmarks in a volume as heatmaps on a 3D U-Net, coarse to fine.

Both networks are U-Nets whose way up is a feature pyramid (Lin et al., CVPR 2017) and stops at half of the input's
resolution: cells of 2 voxels, read between cells, are finer than any label. As in 2D, the softmax over all cells and
one logit for "not in this volume" is the probability of each place.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 2
"""Input voxels per cell along each axis: cell i stands at voxel 2 i + 0.5, its true centre."""

PARTS = ("coarse", "fine")

_EVEN = 10.0
"""Logarithm of about as many cells as a window has: at first absence is as likely as presence."""


class VolumeLandmarkNet(nn.Module):
    """A map for each landmark and the logit of its absence.

    Args:
        landmarks: number of maps.
        channels: of the levels on the way down, at 1/2, 1/4, ... of the input.
        width: channels on the way up.

    Input (b, 1, d, h, w) of :func:`~orthoangles.networks.volumes.grid.as_input`, each side a multiple of
    :attr:`multiple`; output a pair: maps (b, landmarks, d/2, h/2, w/2) of logits, and logits of absence (b, landmarks).
    """

    def __init__(self, landmarks: int, channels: Sequence[int] = (24, 48, 96, 128), width: int = 32) -> None:
        super().__init__()
        self.multiple = 2 ** len(channels)
        sizes = [1, *channels]
        self.down = nn.ModuleList(
            nn.Sequential(_conv(before, after, stride=2), _conv(after, after))
            for before, after in zip(sizes, channels, strict=False)
        )
        self.lateral = nn.ModuleList(nn.Conv3d(c, width, 1) for c in channels)
        self.merge = nn.ModuleList(_conv(width, width) for _ in channels)
        self.maps = nn.Conv3d(width, landmarks, 1)
        self.absence = nn.Linear(width, landmarks)
        # One logit against those of some ten thousand cells: an even start spares thousands of steps.
        nn.init.constant_(self.absence.bias, _EVEN)

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        levels = []
        x = volume
        for down in self.down:
            x = down(x)
            levels.append(x)
        laterals = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        x = self.merge[-1](laterals[-1])
        for level, merge in zip(laterals[-2::-1], self.merge[-2::-1], strict=True):
            x = merge(level + F.interpolate(x, level.shape[2:], mode="trilinear", align_corners=False))
        return self.maps(x), self.absence(x.mean((-3, -2, -1)))


class FootVolumeNet(nn.Module):
    """The two networks of one bundle, ``coarse`` and ``fine``; its weights are one file.

    Args:
        coarse, fine: :class:`VolumeLandmarkNet`.
        learns: the one of the two that a training run calls and changes; the other stays as it is.
    """

    def __init__(self, coarse: nn.Module, fine: nn.Module, learns: str = "fine") -> None:
        super().__init__()
        if learns not in PARTS:
            raise ValueError(f"learns is '{learns}', expected one of {', '.join(PARTS)}")
        self.coarse, self.fine, self.learns = coarse, fine, learns
        for part in PARTS:
            self.get_submodule(part).requires_grad_(part == learns)

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """The output of the part that learns."""
        return self.get_submodule(self.learns)(volume)

    def train(self, mode: bool = True) -> "FootVolumeNet":
        """Only the part that learns gathers new statistics."""
        super().train(mode)
        for part in PARTS:
            self.get_submodule(part).train(mode and part == self.learns)
        return self


def _conv(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(cin, cout, 3, stride, padding=1, bias=False), nn.BatchNorm3d(cout), nn.ReLU(inplace=True)
    )


def padded(volume: Tensor, multiple: int, value: float) -> Tensor:
    """(b, c, d, h, w) with each side grown at its end to a multiple."""
    grown = [(-size) % multiple for size in reversed(volume.shape[2:])]
    return F.pad(volume, [part for size in grown for part in (0, size)], value=value)
