"""Targets and decoding on the output grid."""

import numpy as np
import pytest
import torch

from orthoangles.heatmaps import RING, centre_heatmap, decode_peaks, gaussian_radius, polygon_mask


def box(x, y, width, height):
    """Corners TL, TR, BL, BR of an upright rectangle."""
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return [[left, top], [right, top], [left, bottom], [right, bottom]]


def overlap(a, b):
    """IoU of two boxes (left, top, right, bottom)."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(area) - width * height)


@pytest.mark.parametrize("size", [(20.0, 10.0), (8.0, 8.0), (5.0, 30.0)])
def test_corners_moved_by_the_radius_keep_the_overlap(size):
    radius = float(gaussian_radius(torch.tensor(size)))
    width, height = size
    truth = (0, 0, width, height)
    shifted = (radius, radius, width + radius, height + radius)
    smaller = (radius, radius, width - radius, height - radius)
    larger = (-radius, -radius, width + radius, height + radius)
    overlaps = [overlap(truth, moved) for moved in (shifted, smaller, larger)]
    assert min(overlaps) == pytest.approx(0.7, abs=1e-4)


def test_heatmap_is_one_at_each_centre_and_takes_the_larger_where_two_meet():
    maps = centre_heatmap(torch.tensor([[5.7, 4.2], [8.0, 4.0]]), torch.tensor([1.0, 2.0]), (10, 16))
    assert maps.shape == (1, 10, 16)
    assert maps[0, 4, 5] == 1
    assert maps[0, 4, 8] == 1
    assert float(maps[0, 4, 7]) == pytest.approx(max(np.exp(-4 / 2), np.exp(-1 / 8)))


def test_polygon_mask_agrees_with_a_point_in_polygon_test():
    from matplotlib.path import Path

    rng = np.random.default_rng(3)
    for _ in range(20):
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array(box(0, 0, 9.3, 5.7)) @ turn.T + (12.37, 11.21)
        ring = corners[list(RING)]
        y, x = np.mgrid[:24, :24]
        expected = Path(ring).contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(24, 24)
        drawn = polygon_mask(torch.from_numpy(corners)[None], (24, 24))[0].numpy().astype(bool)
        assert (drawn == expected).all()


def test_ring_order_encloses_the_area_that_the_stored_order_does_not():
    corners = np.array(box(0, 0, 4, 2))

    def shoelace(points):
        x, y = points.T
        return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2

    assert shoelace(corners[list(RING)]) == 8
    assert shoelace(corners) == 0


def maps_of(centres, corners, heat, shape=(32, 16)):
    """Perfect branches for vertebrae given in cells."""
    maps = {
        "centre": torch.full((1, *shape), -9.0),
        "offset": torch.zeros(2, *shape),
        "corners": torch.zeros(8, *shape),
        "spread": torch.zeros(4, *shape),
    }
    for (x, y), box_, value in zip(centres, corners, heat, strict=True):
        row, column = int(y), int(x)
        for r in range(row - 1, row + 2):
            for c in range(column - 1, column + 2):
                near = 1.0 if (r, c) == (row, column) else 0.5
                maps["centre"][0, r, c] = torch.logit(torch.tensor(value * near))
                maps["offset"][:, r, c] = torch.tensor([x - c, y - r])
                maps["corners"][:, r, c] = (torch.tensor([x, y]) - torch.tensor(box_)).flatten()
    return maps


@pytest.mark.parametrize("reach", [0, 1])
def test_decoding_finds_the_vertebrae_from_top_to_bottom(reach):
    centres = [(7.3, 20.6), (8.9, 10.2)]
    corners = [box(*centre, 6, 4) for centre in centres]
    peaks = decode_peaks(maps_of(centres, corners, [0.6, 0.9]), 17, reach=reach)
    assert peaks.centres.numpy() == pytest.approx(np.array([centres[1], centres[0]]), abs=1e-5)
    assert peaks.corners.numpy() == pytest.approx(np.array([corners[1], corners[0]]), abs=1e-5)
    assert peaks.confidence.tolist() == pytest.approx([0.9, 0.6])


def test_decoding_keeps_the_strongest_and_leaves_out_the_weak():
    centres = [(7.0, 4.0), (7.0, 12.0), (7.0, 20.0)]
    corners = [box(*centre, 6, 4) for centre in centres]
    maps = maps_of(centres, corners, [0.9, 0.04, 0.5])
    assert decode_peaks(maps, 17).confidence.tolist() == pytest.approx([0.9, 0.5])
    assert decode_peaks(maps, 1).confidence.tolist() == pytest.approx([0.9])
