"""The angle rule of the AASCE 2019 challenge, as the organisers' MATLAB code has it and as its Python port
has it.

The rule works on vertebral midlines (midpoint of the left margin to midpoint of the right margin), not on
endplates, and is not the clinical Cobb angle; that is in :mod:`orthoangles.cobb_clinical`. docs/COBB.md tells
the three apart.
"""

from typing import NamedTuple

import numpy as np

# Below this the port takes mixed signs of the S test for rounding; the MATLAB code compares exactly.
_PORT_TOLERANCE = 1e-4


class AasceAngle(NamedTuple):
    """One angle in degrees and the vertebrae (row numbers from the top) whose midlines enclose it."""

    degrees: float
    first: int
    second: int


class AasceAngles(NamedTuple):
    """The three angles of the rule and which of its branches gave them.

    ``branch`` is ``C`` (not S-shaped), ``S upper half`` or ``S lower half`` (place of the largest angle). An
    S-shaped spine without an image height has branch ``S`` and no lower angle.
    """

    maximum: AasceAngle
    upper: AasceAngle
    lower: AasceAngle | None
    s_shaped: bool
    branch: str

    @property
    def degrees(self) -> tuple[float, float, float]:
        """Largest, upper and lower angle (NaN where unknown), in the order of the challenge's angle files."""
        lower = float("nan") if self.lower is None else self.lower.degrees
        return self.maximum.degrees, self.upper.degrees, lower


def cobb_aasce(corners: np.ndarray, height: float | None) -> AasceAngles:
    """Angles by the rule of the challenge's MATLAB code.

    Args:
        corners: (n, 4, 2) image coordinates, x to the right and y down, of each vertebra's top-left,
            top-right, bottom-left and bottom-right corner, from the top vertebra to the lowest.
        height: image height in the unit of the corners; None leaves the lower angle of an S-shaped spine
            unknown.

    Raises:
        ValueError: wrong shape, a corner that is not finite, or a midline of no length.
    """
    return cobb_aasce_both(corners, height)[0]


def cobb_aasce_python(corners: np.ndarray, height: float | None) -> AasceAngles:
    """Angles by the widely used Python port of the challenge's rule; arguments as in :func:`cobb_aasce`.

    The port differs in three places: cosines are clipped to 0..1, so that no angle exceeds 90 degrees; the
    test for the half of the image uses the superior endplates, where MATLAB's one-based row is the inferior
    endplate; and the S test has a tolerance. The port computes in single precision; this function does not.
    """
    return cobb_aasce_both(corners, height)[1]


def cobb_aasce_both(corners: np.ndarray, height: float | None) -> tuple[AasceAngles, AasceAngles]:
    """:func:`cobb_aasce` and :func:`cobb_aasce_python` in one go."""
    corners = np.asarray(corners, dtype=np.float64)
    if corners.ndim != 3 or corners.shape[0] < 2 or corners.shape[1:] != (4, 2):
        shape = corners.shape
        raise ValueError(f"corners have shape {shape}, expected (vertebrae, 4, 2) with two vertebrae or more")
    if not np.isfinite(corners).all():
        raise ValueError("corners are not all finite: the AASCE rule needs every vertebra")
    right = corners[:, 1] + corners[:, 3] - corners[:, 0] - corners[:, 2]
    if not right.any(axis=1).all():
        raise ValueError("a midline has no length: left and right margin of a vertebra coincide")
    return aasce_both_unchecked(corners, height)


def aasce_both_unchecked(corners: np.ndarray, height: float | None) -> tuple[AasceAngles, AasceAngles]:
    """:func:`cobb_aasce_both` for float64 corners that are known to be sound."""
    angles = _midline_angles(corners)
    midpoints = (corners[:, 0::2] + corners[:, 1::2]) / 2
    mixed, clearly_mixed = _sides_of_chord(midpoints.reshape(-1, 2))
    superior, inferior = midpoints[:, :, 1].T.tolist()
    matlab = _aasce(angles, mixed, inferior, height)
    if matlab.maximum.degrees > 90.0:
        angles = np.minimum(angles, 90.0)
    elif not mixed:  # nor clearly so: the two agree
        return matlab, matlab
    return matlab, _aasce(angles, clearly_mixed, superior, height)


def _aasce(angles: np.ndarray, s_shaped: bool, heights: list[float], height: float | None) -> AasceAngles:
    """The rule's branches; ``heights`` (n) are the y of the endplates that tell the half of the image."""
    n = len(angles)
    i, j = divmod(int(angles.argmax()), n)
    maximum = AasceAngle(float(angles[i, j]), i, j)
    if not s_shaped:
        upper = AasceAngle(float(angles[0, i]), 0, i)
        return AasceAngles(maximum, upper, AasceAngle(float(angles[-1, j]), j, n - 1), False, "C")
    k = int(angles[i, : i + 1].argmax())
    upper = AasceAngle(float(angles[i, k]), k, i)
    if height is None:
        return AasceAngles(maximum, upper, None, True, "S")
    if heights[i] + heights[j] < height:
        m = j + int(angles[j, j:].argmax())
        return AasceAngles(maximum, upper, AasceAngle(float(angles[j, m]), j, m), True, "S upper half")
    m = int(angles[k, : k + 1].argmax())
    return AasceAngles(maximum, upper, AasceAngle(float(angles[k, m]), m, k), True, "S lower half")


def _midline_angles(corners: np.ndarray) -> np.ndarray:
    """(n, n) angles in degrees, 0 to 180, between the directed midlines.

    Exactly symmetric, so that the first maximum lies above the diagonal: the rule leans on that. By
    differences of arctan2, since arccos loses half of the digits near parallel lines.
    """
    right = corners[:, 1] + corners[:, 3] - corners[:, 0] - corners[:, 2]
    tilts = np.degrees(np.arctan2(right[:, 1], right[:, 0]))
    apart = np.abs(tilts[:, None] - tilts)
    return np.minimum(apart, 360.0 - apart)


def _sides_of_chord(midpoints: np.ndarray) -> tuple[bool, bool]:
    """Whether the endplate midpoints (2n, 2) lie on both sides of the chord from the first to the last.

    First exactly, as in MATLAB, then beyond the port's tolerance. The last but one is left out, as in the
    original. A chord along an image axis gives 0/0, which counts as both sides.
    """
    first, last = midpoints[0].tolist(), midpoints[-1].tolist()
    if first[0] == last[0] or first[1] == last[1]:
        return True, True
    progress = (midpoints[:-2] - midpoints[-1]) / (midpoints[0] - midpoints[-1])
    side = progress[:, 1] - progress[:, 0]
    each = side.tolist()
    if not min(each) < 0 < max(each):
        return False, False
    # The original sums |l_i l_j| - l_i l_j over all pairs: zero where no two lie on opposite sides.
    excess = float(np.abs(side).sum()) ** 2 - float(side.sum()) ** 2
    return True, excess >= _PORT_TOLERANCE
