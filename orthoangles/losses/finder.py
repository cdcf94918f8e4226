"""Losses of the foot finder: focal on the heatmaps; box, up-vector and inversion at the centres of feet."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from orthoangles.heatmaps import centre_heatmap, gaussian_radius
from orthoangles.losses.vertebrae import focal_loss, gather_cells
from orthoangles.networks.foot_finder import STRIDE, box_of, branches

FIELDS = ("kind", "x0", "y0", "x1", "y1", "up x", "up y", "inverted")
"""One foot of the targets: index of its kind, box in input pixels, unit vector, 0 or 1.

A row whose kind is NaN is no foot. One whose box is NaN says that such a foot is somewhere in the image.
"""

_IGNORED = 1 - 1e-4
"""A heatmap target so near to one that the focal loss asks nothing of a cell, but that is no positive."""


class FinderLoss(nn.Module):
    """Weighted sum of the terms ``kind``, ``box``, ``up`` and ``inverted``; ``forward`` returns the total and each.

    Args:
        weights: weight per term.
        reach: half width in cells of the neighbourhood of a centre that learns box, up-vector and inversion.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, reach: int = 1) -> None:
        super().__init__()
        self.weights = {"kind": 1.0, "box": 0.1, "up": 1.0, "inverted": 0.5, **(weights or {})}
        self.reach = reach

    def forward(self, output: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``output`` (b, 9, h, w) of the network, ``targets`` (b, n, 8) of :data:`FIELDS`."""
        maps, feet = branches(output), _Feet(targets, output)
        cells, learns = feet.neighbourhood(self.reach)
        count = learns.sum().clamp(min=1)
        boxed = learns & feet.boxed[..., None]
        box = box_of(feet.places(cells), gather_cells(maps["box"], cells)) - feet.box[:, :, None].nan_to_num()
        up = gather_cells(maps["up"], cells) - feet.up[:, :, None]
        inverted = nn.functional.binary_cross_entropy_with_logits(
            gather_cells(maps["inverted"], cells)[..., 0],
            feet.inverted[..., None].expand(learns.shape),
            reduction="none",
        )
        terms = {
            "kind": focal_loss(maps["kind"].sigmoid(), feet.heatmaps()),
            "box": (box.abs().mean(-1) / STRIDE * boxed).sum() / boxed.sum().clamp(min=1),
            "up": (up.square().sum(-1) * learns).sum() / count,
            "inverted": (inverted * learns).sum() / count,
        }
        return sum(self.weights[name] * term for name, term in terms.items()), terms


class _Feet:
    """Targets laid on the grid of an output; a foot without a box is where the network itself sees it best."""

    def __init__(self, targets: Tensor, output: Tensor) -> None:
        self.shape = tuple(output.shape[-2:])
        self.device = output.device
        self.present = targets[..., 0].isfinite()
        self.kind = targets[..., 0].nan_to_num().long()
        self.box = targets[..., 1:5]
        self.boxed = self.box.isfinite().all(-1) & self.present
        self.up, self.inverted = targets[..., 5:7].nan_to_num(), targets[..., 7].nan_to_num()
        self.cells = torch.where(self.boxed[..., None], self._centres(), self._best(output.detach()))

    def _centres(self) -> Tensor:
        """(b, n, 2) cells (x, y) of the boxes' centres."""
        centre = (self.box[..., :2] + self.box[..., 2:]) / 2
        limit = torch.tensor([self.shape[1] - 1, self.shape[0] - 1], device=self.device)
        return ((centre.nan_to_num() + 0.5) / STRIDE).floor().long().clamp(min=0).minimum(limit)

    def _best(self, output: Tensor) -> Tensor:
        """(b, n, 2) cells where the heatmap of each foot's kind is highest."""
        flat = branches(output)["kind"].flatten(2).argmax(-1).gather(1, self.kind)
        return torch.stack([flat % self.shape[1], flat // self.shape[1]], -1)

    def heatmaps(self) -> Tensor:
        """(b, 2, h, w): Gaussians at the centres; of a foot without a box one positive cell, and the rest ignored."""
        size = (self.box[..., 2:] - self.box[..., :2]).nan_to_num(1.0).clamp(min=1) / STRIDE
        sigma = (2 * gaussian_radius(size).floor() + 1) / 6
        maps = []
        for kind in range(2):
            own = self.present & (self.kind == kind)
            cells = self.cells.where(own[..., None], -1000)
            heat = centre_heatmap(cells.float(), sigma, self.shape)
            somewhere = (own & ~self.boxed).any(-1)[:, None, None, None]
            maps.append(torch.where(somewhere & (heat < 1), _IGNORED, heat))
        return torch.cat(maps, 1)

    def neighbourhood(self, reach: int) -> tuple[Tensor, Tensor]:
        """(b, n, k, 2) cells (x, y) around each foot's, and (b, n, k) which of them learn."""
        step = torch.arange(-reach, reach + 1, device=self.device)
        dy, dx = torch.meshgrid(step, step, indexing="ij")
        cells = self.cells[..., None, :] + torch.stack([dx, dy], -1).flatten(0, 1)
        limit = torch.tensor([self.shape[1], self.shape[0]], device=self.device)
        return cells, ((cells >= 0) & (cells < limit)).all(-1) & self.present[..., None]

    def places(self, cells: Tensor) -> Tensor:
        """(..., 2) input pixels of cells (x, y)."""
        return cells * STRIDE + (STRIDE - 1) / 2
