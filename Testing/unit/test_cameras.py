"""Cameras: where a point is seen, checked against rays and planes worked out another way."""

import json
from fractions import Fraction

import numpy as np
import pytest

from orthoangles.errors import SimulationError
from orthoangles.simulation.radiography.cameras import Camera, ap_camera, lateral_camera

pytestmark = pytest.mark.unit

CAMERAS = {
    "ap": ap_camera((3.0, 52.0, 20.0), turn=7.0, shift=(12.0, -9.0)),
    "lateral": lateral_camera((-4.0, 50.0, 70.0), turn=-6.0, tilt=2.0, shift=(20.0, 5.0)),
}


@pytest.fixture(params=sorted(CAMERAS))
def camera(request) -> Camera:
    return CAMERAS[request.param]


def _met_by_elimination(camera: Camera, point: np.ndarray) -> tuple[float, float]:
    """(column, row) by exact rational arithmetic: Cramer's rule on source + t (point - source) = pixel."""

    def det(a, b, c):
        return (
            a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])
        )

    source, origin, across, down, target = (
        [Fraction(float(x)) for x in vector]
        for vector in (camera.source, camera.origin, camera.column_step, camera.row_step, point)
    )
    ray = [t - s for t, s in zip(target, source, strict=True)]
    goal = [s - o for s, o in zip(source, origin, strict=True)]
    back = [-r for r in ray]
    whole = det(across, down, back)
    return float(det(goal, down, back) / whole), float(det(across, goal, back) / whole)


def test_a_point_is_seen_where_its_ray_meets_the_detector(camera):
    points = np.random.default_rng(1).uniform((-50, -80, 0), (50, 190, 120), (200, 3))
    seen = camera.project(points)
    exact = np.array([_met_by_elimination(camera, point) for point in points])
    assert np.abs(seen - exact).max() < 1e-6


def test_a_pixel_position_projects_onto_its_pixel(camera):
    pixels = np.random.default_rng(2).uniform(0, 500, (50, 2))
    assert np.abs(camera.project(camera.position(pixels)) - pixels).max() < 1e-9


def test_the_mirrored_camera_sees_the_mirrored_scene_flipped(camera):
    points = np.random.default_rng(3).uniform((-60, -10, 0), (60, 110, 120), (50, 3))
    column, row = camera.project(points).T
    flipped = camera.mirrored().project(points * (-1, 1, 1))
    assert np.allclose(flipped, np.stack([camera.shape[1] - 1 - column, row], axis=1), atol=1e-9)


def test_ap_shows_toes_up_and_lateral_at_the_right():
    camera = ap_camera((0.0, 50.0, 20.0))
    heel, toe, little_toe = camera.project(np.array([[0, -50, 10], [0, 170, 10], [45, 120, 10]]))
    assert toe[1] < heel[1]
    assert little_toe[0] > toe[0]


def test_lateral_shows_up_up_and_toes_at_the_right():
    camera = lateral_camera((0.0, 50.0, 60.0))
    heel, toe, shin = camera.project(np.array([[0, -50, 10], [0, 170, 10], [0, 0, 120]]))
    assert toe[0] > heel[0]
    assert shin[1] < heel[1]


@pytest.mark.parametrize("tilt", [0.0, 15.0, 20.0])
def test_the_central_ray_of_ap_comes_from_the_front_at_the_tilt(tilt):
    centre = np.array([2.0, 55.0, 20.0])
    camera = ap_camera(centre, tilt=tilt)
    away = camera.source - centre
    assert np.degrees(np.arctan2(away[1], away[2])) == pytest.approx(tilt)
    # Source to detector is measured along the central ray.
    column, row = camera.project(centre)
    assert np.linalg.norm(camera.position(np.array([column, row])) - camera.source) == pytest.approx(1000.0)
    assert camera.position(np.array([0, 0]))[2] < 0


def test_the_lateral_beam_is_horizontal_and_comes_from_medial():
    camera = lateral_camera((0.0, 50.0, 60.0), beam_height=25.0)
    assert camera.source[2] == pytest.approx(25.0)
    assert camera.source[0] < -800
    # Two points at the height of the beam, one behind the other, meet in one row.
    near, far = camera.project(np.array([[-40.0, 20.0, 25.0], [40.0, 90.0, 25.0]]))
    assert near[1] == pytest.approx(far[1])


def test_what_is_asked_for_lies_in_the_middle():
    plain = ap_camera((3.0, 52.0, 20.0), turn=7.0, shift=(12.0, -9.0))
    rows, columns = plain.shape
    assert np.allclose(plain.project(np.array([3.0, 52.0, 20.0])), [(columns - 1) / 2, (rows - 1) / 2])


def test_a_camera_survives_json(camera):
    again = Camera.from_json(json.loads(json.dumps(camera.as_json())))
    point = np.array([5.0, 60.0, 30.0])
    assert (again.project(point) == camera.project(point)).all()
    assert again.shape == camera.shape


def test_points_behind_the_source_are_not_seen(camera):
    behind = camera.source + (camera.source - camera.position(np.array([100, 100])))
    assert np.isnan(camera.project(behind)).all()


def test_ray_lengths_are_distances_to_pixels(camera):
    lengths = camera.ray_lengths()
    for row, column in ((0, 0), (100, 7), (camera.shape[0] - 1, camera.shape[1] - 1)):
        expected = np.linalg.norm(camera.position(np.array([column, row])) - camera.source)
        assert lengths[row, column] == pytest.approx(expected, abs=1e-9)


def test_a_source_in_the_detector_is_refused():
    with pytest.raises(SimulationError, match="source lies in the plane"):
        Camera((0, 5, 0), (0, 0, 0), (1, 0, 0), (0, 1, 0), (4, 4))


def test_an_empty_image_is_refused():
    with pytest.raises(SimulationError, match="empty"):
        ap_camera((0, 50, 20), shape=(0, 10))
