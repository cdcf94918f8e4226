"""The rendered spine: its truth is what was drawn, and it is the same each time."""

import numpy as np
import pytest

from orthoangles.simulation.spine import vertebra as bone
from orthoangles.simulation.spine.drawn import simulate_spine
from orthoangles.simulation.spine.pose import random_pose

pytestmark = pytest.mark.unit


def test_the_same_seed_gives_the_same_bytes():
    first, second = simulate_spine(7, (300, 150)), simulate_spine(7, (300, 150))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.corners.tobytes() == second.corners.tobytes()
    assert first.parameters == second.parameters


def test_another_seed_gives_another_spine():
    assert np.abs(simulate_spine(7, (300, 150)).corners - simulate_spine(8, (300, 150)).corners).max() > 1


@pytest.mark.parametrize("size", [(300, 90), (300, 150), (300, 48), (128, 400)])
def test_all_corners_lie_inside_the_image(size):
    for seed in range(4):
        spine = simulate_spine(seed, size)
        assert spine.image.shape == size
        assert spine.image.dtype == np.uint8
        assert spine.corners.shape == (17, 4, 2)
        assert spine.corners.min() >= 0
        assert (spine.corners <= np.array(size[::-1]) - 1).all()


@pytest.mark.parametrize("size", [(127, 100), (300, 47)])
def test_a_size_too_small_is_refused(size):
    with pytest.raises(ValueError, match="at least 128 rows and 48 columns"):
        simulate_spine(0, size)


def test_corners_are_in_order_and_vertebrae_grow_downwards():
    for seed in range(20):
        corners = random_pose(np.random.default_rng(seed)).corners()
        top_left, top_right, bottom_left, bottom_right = np.moveaxis(corners, 1, 0)
        assert (top_right[:, 0] > top_left[:, 0]).all()
        assert (bottom_right[:, 0] > bottom_left[:, 0]).all()
        assert (bottom_left[:, 1] > top_left[:, 1]).all()
        assert (bottom_right[:, 1] > top_right[:, 1]).all()
        assert (np.diff(corners.mean(axis=1)[:, 1]) > 0).all()
        width = np.linalg.norm(top_right - top_left, axis=1)
        assert 1.3 < width[-1] / width[4] < 2.2


def test_the_asked_angle_is_the_swing_of_the_tilt():
    for seed in range(20):
        pose = random_pose(np.random.default_rng(seed), curve_angle=45.0, curve_count=2)
        # Between two discrete levels and with a degree of scatter in each tilt.
        assert np.rad2deg(np.ptp(pose.tilt)) == pytest.approx(45, abs=6)
        assert max(pose.curve_angles) == 45.0


def test_the_drawn_body_ends_at_its_corners():
    """Bone just inside each corner, none just outside: the truth lies on the drawing, not beside it."""
    pose = random_pose(np.random.default_rng(3), curve_angle=50.0)
    for level in range(17):
        body = bone.Vertebra(
            level, tuple(pose.centres[level]), pose.tilt[level], pose.width[level], pose.height[level],
            tuple(pose.wedge[level]), pose.taper[level], 0.0, 1.0, (0.0, 0.0), dip=0.0, waist=0.0, posterior=0.0,
        )  # fmt: skip
        corners = pose.corners()[level]
        inward = (corners.mean(axis=0) - corners) / np.linalg.norm(corners.mean(axis=0) - corners, axis=1)[:, None]
        inside, outside = corners + 1.5 * inward, corners - 1.5 * inward
        assert (bone.attenuation(body, *inside.T, 0.1) > 0.01).all()
        assert (bone.attenuation(body, *outside.T, 0.1) == 0).all()


def test_bodies_are_brighter_than_the_discs_between_them_in_the_image():
    """On the finished picture, after blur, window and noise, over many spines."""
    brighter = []
    for seed in range(4):
        spine = simulate_spine(seed, (600, 280))
        image = spine.image.astype(float)

        def grey(points, image=image):
            columns, rows = np.rint(points).astype(int).T
            return image[rows, columns]

        bottom = spine.corners[:-1, 2:].mean(axis=1)
        top = spine.corners[1:, :2].mean(axis=1)
        across = np.linspace(-0.25, 0.25, 9)[:, None, None] * (spine.corners[:-1, 3] - spine.corners[:-1, 2])
        disc = np.mean([grey((bottom + top) / 2 + offset) for offset in across], axis=0)
        plate = np.mean([grey(bottom + offset) for offset in across], axis=0)
        brighter.append((plate[8:] > disc[8:]).mean())
    assert np.mean(brighter) > 0.85


def test_points_are_the_corners_in_image_order():
    spine = simulate_spine(1, (300, 150))
    assert spine.points.shape == (68, 3)
    assert (spine.points[4:8, :2] == spine.corners[1]).all()
    assert (spine.points[:, 2] == 0).all()
