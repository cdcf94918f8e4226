"""Losses of both stages of FlatNet. Where a network already gives points, a loss is how far they are off."""

import torch
from monai.losses.focal_loss import sigmoid_focal_loss
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.networks.retinanet import box_deltas

_BETA = 1 / 9
"""Below this difference smooth L1 is quadratic (published code)."""


class DetectorLoss(nn.Module):
    """Focal loss of the classes and smooth L1 of the boxes, both per anchor that stands for a landmark.

    Args:
        box: side in input pixels of the square around each landmark.
        matched, ignored: an anchor stands for the landmarks whose boxes it overlaps by at least ``matched``
            (intersection over union), for none below ``ignored``, and is left out in between. Its own box is that of
            the one it overlaps most. The best anchor of a landmark always stands for it.
        published: an anchor stands for one landmark only, as in RetinaNet. Of two landmarks on both sides of a joint,
            nearer than the anchors, one may then have none.
    """

    def __init__(self, box: float = 128.0, matched: float = 0.5, ignored: float = 0.4, published: bool = False) -> None:
        super().__init__()
        self.box, self.matched, self.ignored, self.published = box, matched, ignored, published

    def forward(
        self, output: Tensor | tuple[Tensor, Tensor, Tensor], points: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """``output`` of a :class:`~orthoangles.networks.flatnet.FlatNet` in stage ``detect``, (b, k, 2) points.

        Points in input pixels, NaN for none. Of the output in evaluation, (b, k, 3), the mean distance in pixels.
        """
        if isinstance(output, Tensor):
            distance = mean_distance(output, points)
            return distance, {"distance": distance}
        logits, deltas, anchors = output
        wanted, learns, label = self.assigned(anchors, points)
        row, anchor = wanted.any(-1).nonzero(as_tuple=True)
        count = max(1, len(row))
        focal = sigmoid_focal_loss(logits, wanted.to(logits.dtype), gamma=2.0, alpha=0.25)
        boxes = box_deltas(anchors[anchor], points[row, label[row, anchor]], self.box)
        terms = {
            "classes": (focal * learns).sum() / count,
            "boxes": F.smooth_l1_loss(deltas[row, anchor], boxes, beta=_BETA, reduction="sum") / (4 * count),
        }
        return sum(terms.values()), terms

    def assigned(self, anchors: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For (a, 4) anchors and (b, k, 2) points: whether an anchor stands for a landmark, and learns whether it does,
        (b, a, k) both, and which landmark's box is its own, (b, a).
        """
        overlap = self._overlap(anchors, points)
        best, label = overlap.max(-1)
        row, landmark = (~points.isnan().any(-1)).nonzero(as_tuple=True)
        anchor = overlap.argmax(1)[row, landmark]
        label[row, anchor] = landmark
        forced = torch.zeros_like(overlap, dtype=torch.bool)
        forced[row, anchor, landmark] = True
        if self.published:
            own = forced.any(-1) | (best >= self.matched)
            wanted = F.one_hot(label, points.shape[1]).bool() & own[..., None]
            return wanted, (own | (best < self.ignored))[..., None].expand_as(wanted), label
        wanted = forced | (overlap >= self.matched)
        return wanted, wanted | (overlap < self.ignored), label

    def _overlap(self, anchors: Tensor, points: Tensor) -> Tensor:
        """Intersection over union of anchors (a, 4) and boxes around (b, k, 2) points; (b, a, k), -1 without one."""
        centre, size = anchors[:, None, :2], anchors[:, None, 2:]
        apart = (centre - points[:, None]).abs()
        shared = ((size + self.box) / 2 - apart).clamp(min=0).minimum(size.clamp(max=self.box)).prod(-1)
        union = size.prod(-1) + self.box**2 - shared
        return (shared / union).nan_to_num(-1)


class DiskLoss(nn.Module):
    """Dice loss of the disks, over all pixels of a landmark's patches in the batch, mean over the landmarks.

    ``radius`` in patch pixels; the published one is 40.
    """

    def __init__(self, radius: float = 40.0) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, output: Tensor, points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, k, p, p) logits and (b, k, 2) points in pixels of their patches; NaN points do not count.

        Of points (b, k, 3), which a whole image gives, the mean distance in pixels.
        """
        if output.dim() == 3:
            distance = mean_distance(output, points)
            return distance, {"distance": distance}
        there = (~points.isnan().any(-1))[..., None, None]
        drawn, wanted = output.sigmoid() * there, disks(points, self.radius, output.shape[-1]) * there
        shared, both = (drawn * wanted).sum((0, 2, 3)), (drawn + wanted).sum((0, 2, 3))
        dice = (1 - (2 * shared + 1) / (both + 1))[there.any(0).flatten()]
        loss = dice.sum() / max(1, len(dice))
        return loss, {"dice": loss}


def disks(points: Tensor, radius: float, size: int) -> Tensor:
    """Filled circles around (..., 2) points (x, y) in squares of ``size`` pixels; (..., size, size) of 0 and 1."""
    place = torch.arange(size, device=points.device)
    x, y = (place - points[..., axis, None] for axis in (0, 1))
    return (x[..., None, :] ** 2 + y[..., None] ** 2 <= radius**2).float()


def mean_distance(found: Tensor, points: Tensor) -> Tensor:
    """Mean distance in pixels of (b, k, 3) found points and (b, k, 2) true ones, NaN left out; scalar."""
    distance = (found[..., :2] - points).norm(dim=-1)
    return distance[~distance.isnan()].sum() / (~distance.isnan()).sum().clamp(min=1)
