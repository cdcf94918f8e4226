"""Random views keep image and corners together."""

import numpy as np
import pytest
import torch

from orthoangles.training.augmentation import Augmentation


def marked_image(points, shape=(384, 192)):
    """A black image with a soft dot at every point."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 3.0**2)) for px, py in points]
    return torch.from_numpy(np.max(dots, axis=0))[None].float()


QUIET = {"mirror_order": (1, 0, 3, 2), "gamma": 0, "contrast": 0, "noise": 0, "blur": 0, "occlusion": 0, "inversion": 0}


@pytest.mark.parametrize("seed", range(12))
def test_every_corner_stays_on_its_dot(seed):
    corners = torch.tensor([[70.0, 120], [120, 124], [72, 170], [119, 176]])
    for k in range(4):
        image, moved = Augmentation(**QUIET)(marked_image([corners[k].tolist()]), corners, (256, 128), seed)
        dots = image[0].numpy()
        rows, columns = np.mgrid[:256, :128]
        found = np.array([(dots * columns).sum(), (dots * rows).sum()]) / dots.sum()
        # A flip trades left and right: the dot belongs to corner k or to its mirror partner.
        partner = [1, 0, 3, 2][k]
        distance = min(np.linalg.norm(found - moved[k].numpy()), np.linalg.norm(found - moved[partner].numpy()))
        assert distance < 0.3


def test_left_stays_left_after_a_flip():
    corners = torch.tensor([[70.0, 120], [120, 124], [72, 170], [119, 176]])
    for seed in range(8):
        _, moved = Augmentation(rotation=0, mirror=1.0, **QUIET)(marked_image([(90, 140)]), corners, (256, 128), seed)
        assert moved[0, 0] < moved[1, 0]
        assert moved[2, 0] < moved[3, 0]


def test_the_same_seed_gives_the_same_view():
    corners = torch.tensor([[70.0, 120], [120, 124], [72, 170], [119, 176]])
    image = marked_image([(90, 140)])
    one, two = (Augmentation()(image, corners, (256, 128), 5) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], Augmentation()(image, corners, (256, 128), 6)[0])


def test_values_stay_between_black_and_white():
    corners = torch.tensor([[70.0, 120], [120, 124], [72, 170], [119, 176]])
    for seed in range(8):
        strong = Augmentation(occlusion=1.0, blur=1.0, resolution=1.0, shading=0.5, equalised=1.0, sharpened=1.0)
        image, _ = strong(marked_image([(90, 140)]), corners, (256, 128), seed)
        assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_points_named_by_anatomy_keep_their_names_in_a_flip():
    points = torch.tensor([[70.0, 120], [120, 124], [float("nan"), float("nan")]])
    still = {"rotation": 0, "zoom": (1, 1), "stretch": 0, "shear": 0, "shift": 0, "bend": 0}
    _, moved = Augmentation(mirror=1.0, **still)(marked_image([(90, 140)]), points, (384, 192), 0)
    assert moved[:2].numpy() == pytest.approx(np.array([[121.0, 120], [71, 124]]), abs=1e-3)
    assert moved[2].isnan().all()


@pytest.mark.parametrize("seed", range(6))
def test_a_warp_takes_points_along(seed):
    point = torch.tensor([[95.0, 150.0], [float("nan"), float("nan")]])
    warped = Augmentation(warp=6.0, rotation=10, bend=8.0, mirror=0, **{**QUIET, "mirror_order": ()})
    image, moved = warped(marked_image([(95, 150)]), point, (384, 192), seed)
    straight = Augmentation(warp=0.0, rotation=10, bend=8.0, mirror=0, **{**QUIET, "mirror_order": ()})
    dots = image[0].numpy()
    rows, columns = np.mgrid[:384, :192]
    found = np.array([(dots * columns).sum(), (dots * rows).sum()]) / dots.sum()
    # A dot is stretched unevenly by a warp: its middle is a little off its mark.
    assert np.linalg.norm(found - moved[0].numpy()) < 0.6
    assert torch.isnan(moved[1]).all()
    assert torch.linalg.norm(moved[0] - straight(marked_image([(95, 150)]), point, (384, 192), seed)[1][0]) > 0.5
