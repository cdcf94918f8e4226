"""Feet made upright: no pixel is changed, no physical point moves, and what is no foot of this view is refused."""

import numpy as np
import pytest
from support.feet import ap_foot, hallux_foot, lateral_foot

from orthoangles.errors import ImageError
from orthoangles.foot_views import FootView, side_from_landmarks, turns_of, upright, upright_feet
from orthoangles.images import Image, require_radiograph
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

AP = load_protocol("foot-ap")
LATERAL = load_protocol("foot-lateral")


def an_image(rows=60, columns=90, **known):
    turn = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
    pixels = np.random.default_rng(3).integers(0, 4000, (1, rows, columns)).astype(np.int16)
    return Image(pixels, spacing=(0.2, 0.3, 1), origin=(5, -7, 9), direction=turn, spacing_source="test", **known)


def view(turns=0, box=(10, 10, 80, 50), kind="AP", inverted=False):
    return FootView(kind, turns, box, 0.9, inverted)


def grey_at(image, lps):
    i, j, k = np.rint(image.index_points(lps)).astype(int).T
    return image.array[k, j, i]


@pytest.mark.parametrize("margin", [None, 0.05])
@pytest.mark.parametrize("turns", range(4))
def test_every_pixel_stays_at_its_place_in_space(turns, margin):
    image = an_image()
    turned = upright(image, view(turns), margin)
    columns, rows, _ = turned.size
    index = np.stack([*np.meshgrid(range(columns), range(rows)), np.zeros((rows, columns), int)], -1).reshape(-1, 3)
    places = turned.physical_points(index)
    assert np.abs(image.index_points(places) - np.rint(image.index_points(places))).max() < 1e-9
    assert (grey_at(turned, places) == grey_at(image, places)).all()
    assert np.linalg.det(turned.direction) == pytest.approx(np.linalg.det(image.direction))
    assert require_radiograph(turned) is turned
    assert turned.has_spacing
    if margin is not None:
        assert turned.array.size < image.array.size


@pytest.mark.parametrize(("up", "turns"), [((0, -1), 0), ((0.9, 0.2), 1), ((0.1, 1), 2), ((-1, 0.3), 3)])
def test_the_up_vector_ends_at_the_upper_edge(up, turns):
    assert turns_of(up) == turns
    pixels = np.zeros((1, 50, 50), np.uint8)
    x, y = np.rint(24.5 + 20 * np.array(up)).astype(int)
    pixels[0, y, x] = 1
    turned = upright(Image(pixels), view(turns))
    assert np.argwhere(turned.array[0])[0][0] < 15


def test_an_image_of_one_upright_foot_is_used_as_it_is():
    image = an_image(laterality="L")
    assert upright_feet(image, [view()], AP) == (image,)
    assert upright(image, view()) is image


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_inverted_greys_come_back_over_the_whole_range_of_their_type(dtype):
    limits = (-1.0, 3.0) if dtype is np.float32 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    pixels = np.array([[[limits[0], limits[1], 1, 2]] * 16], dtype=dtype)
    bright = upright(Image(pixels), view(inverted=True))
    assert bright.array.dtype == pixels.dtype
    assert bright.array[0, 0, :2].tolist() == [limits[1], limits[0]]
    assert bright.array[0, 0, 2] == bright.array[0, 0, 3] + 1
    assert (upright(bright, view(inverted=True)).array == pixels).all()
    assert any("inverted" in warning for warning in bright.warnings)


def test_two_feet_are_parted_midway_and_given_from_the_left():
    image = an_image(laterality="R")
    left, right = view(box=(5, 5, 30, 55)), view(box=(51, 5, 85, 55))
    parts = upright_feet(image, [right, left], AP)
    assert [part.size[0] for part in parts] == [41, 49]
    assert [part.laterality for part in parts] == [None, None]
    assert (np.concatenate([part.array for part in parts], axis=2) == image.array).all()


def test_two_feet_lying_on_their_side_are_parted_the_other_way():
    image = an_image(90, 60)
    parts = upright_feet(image, [view(1, (5, 5, 55, 39)), view(1, (5, 50, 55, 85))], AP)
    assert [part.size[:2] for part in parts] == [(45, 60), (45, 60)]


def test_of_two_views_on_one_film_the_protocols_own_is_cut_out():
    image = an_image()
    (part,) = upright_feet(image, [view(0, (5, 5, 30, 55)), view(0, (51, 5, 85, 55), "lateral")], LATERAL)
    assert part.size[0] == 49
    assert image.index_points(part.origin[None])[0] == pytest.approx([41, 0, 0])


def test_a_foot_that_fills_little_of_its_image_is_cut_out_with_a_margin():
    image = an_image(300, 300)
    (part,) = upright_feet(image, [view(0, (100, 100, 140, 190))], AP)
    assert part.size[:2] == (40 + 90 + 1, 90 + 90 + 1)


def test_what_is_no_foot_or_another_view_is_refused_by_name():
    with pytest.raises(ImageError, match=r"knee\.png: no foot .*by hand"):
        upright_feet(an_image(name="knee.png"), [], AP)
    with pytest.raises(ImageError, match=r"x\.png: this is a lateral view; protocol foot-ap needs an AP view"):
        upright_feet(an_image(name="x.png"), [view(kind="lateral")], AP)
    with pytest.raises(ImageError, match="this is an AP view; protocol foot-lateral needs a lateral view"):
        upright_feet(an_image(), [view()], LATERAL)


HALLUX = load_protocol("foot-ap-hallux")
FEET = {
    "foot-ap": ap_foot(hva=20, talocalcaneal=20, coverage=5, mt1_talar=-5),
    "foot-ap-hallux": hallux_foot(hva=20, ima=10),
}


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("protocol", [AP, HALLUX], ids=lambda p: p.id)
def test_the_landmarks_tell_the_side_in_any_upright_or_turned_image(protocol, side, turns):
    image = an_image(400, 300)
    points = np.array([FEET[protocol.id][name] for name in protocol.landmark_ids])
    # Lateral is to the right of a right foot seen from its dorsum, toes up; rows run downwards.
    pixels = np.column_stack([150 + (1 if side == "right" else -1) * points[:, 0], 200 - points[:, 1]])
    places = image.physical_points(np.column_stack([pixels, np.zeros(len(pixels))]))
    assert side_from_landmarks(protocol, places, upright(image, view(turns))) == side


def test_no_side_is_told_from_a_lateral_view_or_without_the_landmarks():
    image = an_image()
    points = np.array([[*lateral_foot(meary=5, pitch=20)[name], 0] for name in LATERAL.landmark_ids])
    assert side_from_landmarks(LATERAL, points, image) is None
    assert side_from_landmarks(AP, np.full((16, 3), np.nan), image) is None
    assert side_from_landmarks(AP, np.zeros((16, 3)), image) is None
