"""The sheet of a volume: slices go through the landmarks, on the side and the way up that their words say."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from support.blob_feet import Scan, left_foot, right_foot

from orthoangles.images import Image
from orthoangles.measuring import measure
from orthoangles.overlay import draw_overlay
from orthoangles.protocols import load_protocol
from orthoangles.volume_slices import anatomical_planes, bone_projections, bone_window, slice_through

pytestmark = pytest.mark.unit

PROTOCOL = load_protocol("foot-wbct")
RIGHT = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
LEFT = RIGHT * [[-1.0], [1.0], [1.0]]


def marked(offset, value=2000) -> Image:
    """A volume about the origin with a bright block ``offset`` mm (LPS) from its middle; 1 x 1 x 2 mm."""
    array = np.zeros((40, 80, 80), np.int16)
    i, j, k = (np.array(offset) / [1, 1, 2] + [40, 40, 20]).astype(int)
    array[k - 2 : k + 2, j - 3 : j + 4, i - 3 : i + 4] = value
    return Image(array, spacing=(1, 1, 2), origin=(-40, -40, -40), spacing_source="test", name="block.nrrd")


def brightest(picture) -> tuple[float, float]:
    """Middle of the bright block: share of the width from the left and of the height from the top."""
    rows, columns = np.nonzero(np.nan_to_num(picture) > 1000)
    return columns.mean() / (picture.shape[1] - 1), rows.mean() / (picture.shape[0] - 1)


@pytest.mark.parametrize(("axes", "lateral"), [(RIGHT, -1.0), (LEFT, 1.0)], ids=["right", "left"])
def test_what_lies_towards_a_word_is_shown_at_that_edge(axes, lateral):
    axial, coronal, sagittal = anatomical_planes(axes)
    words = {"lat": (lateral, 0, 0), "med": (-lateral, 0, 0), "ant": (0, -1, 0), "post": (0, 1, 0), "sup": (0, 0, 1)}
    for plane in (axial, coronal, sagittal):
        for word, edge in ((plane.right_word, "right"), (plane.up_word, "top")):
            image = marked(12 * np.array(words[word]))
            x, y = brightest(slice_through(image, np.zeros(3), plane, 20.0, 0.5))
            assert (x, y) == pytest.approx((0.8, 0.5) if edge == "right" else (0.5, 0.2), abs=0.05)
    # The patient's left is at the right, as radiologists look at a patient.
    assert axial.right[0] == coronal.right[0] == 1
    assert axial.right_word == ("lat" if lateral > 0 else "med")


def test_a_slice_has_the_values_of_the_volume_and_none_beyond_it():
    _, coronal, _ = anatomical_planes(RIGHT)
    picture = slice_through(marked((0, 0, 0), 700), np.array([0.0, 0, 30.0]), coronal, 20.0, 1.0)
    assert picture.shape == (41, 41)
    assert np.isnan(picture[:10]).all()
    assert np.isfinite(picture[13:]).all()
    image = Scan().of(right_foot())
    for point in right_foot()[3:8]:
        middle = slice_through(image, point, coronal, 2.0, 1.0)[2, 2]
        i, j, k = np.rint(image.index_points([point])[0]).astype(int)
        assert middle == pytest.approx(image.array[k, j, i], abs=60)


def test_projections_show_bone_where_it_lies_with_the_extent_in_mm():
    points = np.array([[-25.0, -25, -25], [25.0, 25, 25]])
    planes = anatomical_planes(RIGHT)
    image = marked((10, -8, 6))
    found = bone_projections(image, planes, points, bone_window(image), margin=5.0, step=1.0)
    for (picture, (left, right, bottom, top)), plane in zip(found, planes, strict=True):
        assert (left, right, bottom, top) == pytest.approx((-30, 29, -30, 29), abs=1)
        rows, columns = np.nonzero(picture > picture.max() / 2)
        x = left + (columns.mean() + 0.5) / picture.shape[1] * (right - left)
        y = top - (rows.mean() + 0.5) / picture.shape[0] * (top - bottom)
        assert (x, y) == pytest.approx(tuple(plane.coordinates(np.array([10.0, -8, 6]))), abs=1.5)


def test_the_window_follows_values_that_are_no_hounsfield_units():
    plain, shifted = (bone_window(scan.of(right_foot())) for scan in (Scan(), Scan(offset=1024, dtype=np.uint16)))
    assert (plain.black, plain.white) == (-350, 1250)
    assert (shifted.black, shifted.white) == pytest.approx((674, 2274), abs=15)


@pytest.fixture(scope="module")
def sheets():
    """Figure and result of a whole left foot, and of one whose fifth metatarsal head and heel were not found."""
    points = left_foot()
    image = Scan().of(points)
    lacking = np.where(np.isin(PROTOCOL.landmark_ids, ("M5", "C1"))[:, None], np.nan, points)
    results = [measure(PROTOCOL, each, image=image) for each in (points, lacking)]
    figures = [draw_overlay(image, *each, PROTOCOL) for each in zip((points, lacking), results, strict=True)]
    return list(zip(figures, results, strict=True))


def texts(figure) -> list[str]:
    return [text.get_text() for part in (figure, *figure.axes) for text in part.texts]


def test_the_sheet_names_every_landmark_and_gives_it_three_slices_with_a_scale(sheets):
    (whole, _), _ = sheets
    assert len(whole.axes) == 3 + 3 * len(PROTOCOL.landmarks)
    written = texts(whole)
    for landmark in PROTOCOL.landmarks:
        assert f"{landmark.id}  {landmark.name}" in written
    assert written.count("10 mm") == 3 * len(PROTOCOL.landmarks)
    assert written.count("50 mm") == 3
    for tile in whole.axes[3:]:
        (picture,) = tile.images
        # The landmark is the bright ball in the middle, under the mark.
        values = np.asarray(picture.get_array())
        assert values[values.shape[0] // 2, values.shape[1] // 2] > 550


def test_the_sheet_shows_the_value_of_each_angle_or_that_it_has_none(sheets):
    for figure, result in sheets:
        shown = [entry for entry in PROTOCOL.measurements if entry.drawn and entry.plane]
        values = {entry.abbreviation: result.by_id(entry.id) for entry in shown}
        units = {"deg": "°", "%": " %"}
        expected = {
            f"{name}: no value" if each.value is None else f"{name}\n{each.value:.1f}{units[each.unit]}"
            for name, each in values.items()
        }
        assert expected <= set(texts(figure))
    assert 1 < sum(text.endswith("no value") for text in expected) < len(expected)


def test_a_missing_landmark_has_no_slice_and_says_so(sheets):
    _, (lacking, _) = sheets
    for k, tile in enumerate(lacking.axes[3:]):
        missing = PROTOCOL.landmark_ids[k // 3] in ("M5", "C1")
        assert ("not found" in [text.get_text() for text in tile.texts]) == missing
        assert bool(tile.images) != missing


def test_it_is_drawn_light_on_dark(sheets):
    (whole, _), _ = sheets
    assert max(to_rgb(whole.get_facecolor())) < 0.2
    whole.canvas.draw()
    pixels = np.asarray(whole.canvas.buffer_rgba())
    assert pixels.shape[0] > 1500
    assert pixels[..., :3].mean() < 120


def test_a_volume_without_any_landmark_or_foot_is_still_drawn():
    image = marked((0, 0, 0))
    points = np.full((22, 3), np.nan)
    figure = draw_overlay(image, points, measure(PROTOCOL, points), PROTOCOL)
    assert texts(figure).count("not found") == 66
