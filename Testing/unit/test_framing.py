"""Images into the network's frame and points back."""

import numpy as np
import pytest

from orthoangles.networks.framing import GreyRange, Letterbox, from_plane, plane_image, to_plane


@pytest.mark.parametrize(
    ("shape", "spacing"), [((300, 120), (1, 1)), ((97, 211), (0.3, 0.3)), ((160, 100), (0.2, 0.5))]
)
def test_points_come_back_to_the_same_place(shape, spacing):
    framed = Letterbox((128, 64))(plane_image(np.zeros(shape), spacing))
    points = np.random.default_rng(0).uniform(0, 50, (20, 2))
    assert to_plane(framed, from_plane(framed, points)) == pytest.approx(points, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((900, 380), (1.0, 1.0)), ((640, 700), (0.14, 0.14)), ((800, 420), (0.2, 0.35))]
)
def test_a_bright_blob_lands_where_its_centre_is_mapped(shape, spacing):
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre = np.array([0.61 * shape[1], 0.37 * shape[0]])
    mm = centre * (spacing[1], spacing[0])
    blob = np.exp(-(((x * spacing[1] - mm[0]) ** 2 + (y * spacing[0] - mm[1]) ** 2) / (2 * (12 * spacing[0]) ** 2)))
    framed = Letterbox((256, 128))(plane_image(blob, spacing))
    values = framed[0].as_tensor().numpy().astype(np.float64)
    rows, columns = np.mgrid[:256, :128]
    found = np.array([(values * columns).sum(), (values * rows).sum()]) / values.sum()
    assert found == pytest.approx(from_plane(framed, mm), abs=0.05)


def test_the_whole_image_fits_and_keeps_its_shape():
    framed = Letterbox((128, 64))(plane_image(np.ones((200, 100)), (0.5, 0.5)))
    corners = from_plane(framed, np.array([[-0.25, -0.25], [49.75, 99.75]]))
    assert corners == pytest.approx(np.array([[-0.5, -0.5], [63.5, 127.5]]), abs=0.5)


def test_grey_range_ignores_a_few_extreme_pixels():
    pixels = np.random.default_rng(0).uniform(100, 200, (200, 200))
    pixels[0, :10] = 1e6
    scaled = GreyRange()(plane_image(pixels)).as_tensor().numpy()
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert 0.3 < np.median(scaled) < 0.7


def test_a_constant_image_gives_finite_values():
    assert np.isfinite(GreyRange()(plane_image(np.full((40, 30), 7))).as_tensor().numpy()).all()
