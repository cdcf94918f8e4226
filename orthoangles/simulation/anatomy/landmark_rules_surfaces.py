"""Articular surfaces that are part of a ball (talar head, dish of the navicular, metatarsal heads): fit and edge.

The surface is found by its shape alone, never by the gap to the neighbour: a landmark must not slide when the joint
moves.
"""

from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.anatomy.bone_frames import LocalBone, fade

ROUGHNESS = 1.0
"""Distance in mm from the ball at which a vertex counts 1/e as articular (inferred: no joint is quite round)."""

LEAVING, BULGING = 1.2, 3.0
"""The same for the edge, in mm: where the bone falls away from the ball, and where it stands out towards the joint."""

FACING = np.radians(62.0)
"""No edge lies farther than about this from the pole: beyond it a talar head lies on ligament, not bone (inferred)."""

BAND = 3.0
"""Half-width in mm of the strip of surface along which an edge is looked for."""


@dataclass(frozen=True, eq=False)
class Ball:
    """``centre`` (3,) and ``radius`` in local mm; ``hollow`` for a socket.

    ``member`` (n,): how much each vertex lies on the ball.
    """

    centre: np.ndarray
    radius: float
    hollow: bool
    member: np.ndarray


def sphere(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere or circle (algebraic) through ``points`` (n, d), ``weights`` (n,): centre (d,), radius."""
    middle = weights @ points / weights.sum()
    local = points - middle
    root = np.sqrt(weights / weights.sum())
    matrix = np.column_stack([2 * local, np.ones(len(points))]) * root[:, None]
    solution = np.linalg.lstsq(matrix, (local**2).sum(axis=1) * root, rcond=None)[0]
    return middle + solution[:-1], float(np.sqrt(max(solution[-1] + solution[:-1] @ solution[:-1], 1e-6)))


def fit_ball(bone: LocalBone, start: np.ndarray, within: np.ndarray, *, hollow: bool = False, rounds: int = 8) -> Ball:
    """Fit a ball to ``start`` (n,) weights, then again to what lies on it and faces its middle or away from it.

    ``within`` (n,) limits the surface, ``hollow`` says that the bone is the socket.
    """
    member = start
    for _ in range(rounds):
        centre, radius = sphere(bone.vertices, member * bone.weights)
        arm = bone.vertices - centre
        reach = np.linalg.norm(arm, axis=1)
        facing = np.einsum("ij,ij->i", bone.normals, arm) / np.maximum(reach, 1e-9) * (-1 if hollow else 1)
        member = np.exp(-(((reach - radius) / ROUGHNESS) ** 2)) * fade(facing, 0.8, 0.2) * within
    return Ball(centre, radius, hollow, member)


def edges(bone: LocalBone, ball: Ball, pole: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the joint surface ends along the great circle through ``pole``, against and along ``side``: two (3,).

    ``pole`` and ``side`` are unit vectors at right angles. Heads are rarely true balls, so a circle of its own is
    fitted to the strip of surface along the great circle. How far the bone keeps to it is added up over the angle, and
    once lost never regained; so the ends move smoothly with the shape.
    """
    arm = bone.vertices - ball.centre
    flat = np.column_stack([arm @ side, arm @ pole])
    strip = np.exp(-((arm @ np.cross(pole, side) / BAND) ** 2)) * bone.weights * (flat[:, 1] > -ball.radius)
    normal = np.column_stack([bone.normals @ side, bone.normals @ pole])
    sign = -1 if ball.hollow else 1
    # Both ends are left out of the first fit: that is where they shall be found.
    member = ball.member * np.exp(-((np.arctan2(flat[:, 0], flat[:, 1]) / np.radians(60.0)) ** 4))
    for _ in range(4):
        centre, radius = sphere(flat, member * strip)
        out = flat - centre
        reach = np.linalg.norm(out, axis=1)
        facing = sign * np.einsum("ij,ij->i", normal, out) / np.maximum(reach, 1e-9)
        member = np.exp(-(((reach - radius) / ROUGHNESS) ** 2)) * fade(facing, 0.8, 0.2)
    away = -sign * (reach - radius)
    joint = np.exp(-((away / np.where(away > 0, LEAVING, BULGING)) ** 2)) * fade(facing, 0.7, 0.2)
    near = strip * (np.abs(reach - radius) < 0.5 * radius)
    ends = []
    for way in (-1, 1):
        last = _last_angle(np.arctan2(way * out[:, 0], out[:, 1]), joint, near)
        across, along = centre + radius * np.array([way * np.sin(last), np.cos(last)])
        ends.append(bone.snap(ball.centre + across * side + along * pole))
    return ends[0], ends[1]


def _last_angle(angle: np.ndarray, joint: np.ndarray, weights: np.ndarray) -> float:
    """The angle in radians up to which the surface is ``joint`` (n,), from 0."""
    grid = np.radians(np.arange(0.0, 100.0, 2.0))
    kernel = np.exp(-0.5 * ((angle[None] - grid[:, None]) / np.radians(3.0)) ** 2) * weights
    member = (kernel @ joint) / np.maximum(kernel.sum(axis=1), 1e-9)
    kept = np.minimum.accumulate(np.where(grid < np.radians(15), 1, member))
    return float((kept * fade(-grid, -FACING, np.radians(16.0))).sum() * np.radians(2.0))
