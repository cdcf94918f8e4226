"""Loss of the segment network (S0): every bone's map against its line segment."""

from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.networks.landmarks import STRIDE
from orthoangles.segments import published_segment_maps, segment_ends, segment_maps, to_grid


class SegmentLoss(nn.Module):
    """Mean binary cross-entropy of the maps of segments.

    Args:
        width: of the segments in cells (S0: 1 to 6, best 4).
        published: draw targets as S0's code does, between ends cut to whole cells, with the width rounded as OpenCV
            rounds it; else the ends stay where they are.
    """

    def __init__(self, width: int = 4, published: bool = False) -> None:
        super().__init__()
        self.width, self.published = width, published

    def forward(self, output: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (b, n, h, w) and the handles (b, 5 n, 2) of n bones in input pixels at 4 a cell, NaN = missing.

        A bone without one of its ends counts for nothing; a batch without a bone has a loss of 0.
        """
        ends = segment_ends(targets)
        known = ends.isfinite().flatten(2).all(2)
        maps = self.maps(ends[known], tuple(output.shape[-2:]))
        entropy = F.binary_cross_entropy_with_logits(output[known].float(), maps, reduction="none").mean((1, 2))
        total = entropy.sum() / known.sum().clamp(min=1)
        return total, {"segments": total}

    def maps(self, ends: Tensor, shape: tuple[int, int]) -> Tensor:
        """Targets (..., h, w) of segments whose ends (..., 2, 2) are given in input pixels."""
        if self.published:
            # Whole numbers are pixel centres here; S0 counts from the border of the image.
            return published_segment_maps((ends + 0.5) / STRIDE, shape, self.width)
        return segment_maps(to_grid(ends, STRIDE), shape, self.width)
