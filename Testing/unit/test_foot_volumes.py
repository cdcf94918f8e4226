"""Feet in volumes: found whatever the file's axes and grey values, parted from floor and each other, or refused."""

import dataclasses

import numpy as np
import pytest
from support.blob_feet import AIR, Scan, left_foot, right_foot
from support.data import shared_data

from orthoangles.errors import ImageError
from orthoangles.foot_volumes import find_feet, foot_images
from orthoangles.images import Image, read_image

pytestmark = pytest.mark.unit


def turned(degrees: float, axis: int) -> np.ndarray:
    """(3, 3) rotation about one of the patient's axes."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    a, b = (k for k in range(3) if k != axis)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


SCANS = {
    "plain": Scan(),
    "without noise": Scan(noise=0.0),
    "fine": Scan(spacing=(1.5, 1.5, 1.5)),
    "thick slices": Scan(spacing=(1.0, 1.5, 4.0)),
    "sagittal slices": Scan(spacing=(1.5, 1.5, 3.0), direction=((0, 0, 1.0), (1.0, 0, 0), (0, -1.0, 0))),
    "flipped": Scan(direction=((-1.0, 0, 0), (0, -1.0, 0), (0, 0, -1.0))),
    "oblique": Scan(direction=turned(20, 0) @ turned(35, 2)),
    "floats": Scan(dtype=np.float32),
    "on a floor": Scan(floor=12.0),
    "on an oblique floor": Scan(floor=12.0, direction=turned(25, 2) @ turned(10, 0)),
    "padded below air": Scan(outside=-3024.0),
    "round field": Scan(outside=-1000.0, floor=10.0),
}


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_a_foot_is_found_with_all_its_landmarks_and_little_else(scan):
    image = scan.of(right_foot())
    found = find_feet(image)
    (foot,) = found.feet
    points = right_foot()
    assert (points > foot.low).all()
    assert (points < foot.high).all()
    # Its box is not that of the plate or of the whole volume: some 16 mm of flesh and a margin about the landmarks.
    assert (foot.low > points.min(axis=0) - 27).all()
    assert (foot.high < points.max(axis=0) + 27).all()
    assert foot.side is None
    assert found.levels.warning is None
    assert foot_images(image, found) == (image,)


@pytest.mark.parametrize("apart", [110.0, 96.0, 92.0], ids=["apart", "skin touching", "skin pressed together"])
@pytest.mark.parametrize(
    "scan",
    [Scan(), Scan(floor=12.0), dataclasses.replace(SCANS["oblique"], spacing=(3.0, 3.0, 3.0))],
    ids=["in air", "on a floor", "oblique"],
)
def test_two_feet_are_two_images_with_their_sides(scan, apart):
    # Metatarsal heads of the two feet are 52 mm nearer to each other than the feet's origins.
    feet = {"R": right_foot(), "L": left_foot(apart)}
    image = scan.of(*feet.values())
    found = find_feet(image)
    assert [foot.side for foot in found.feet] == ["right", "left"]
    for part, (side, points) in zip(foot_images(image, found), feet.items(), strict=True):
        assert part.laterality == side
        index = part.index_points(points)
        assert (index > -0.5).all()
        assert (index < np.array(part.size) - 0.5).all()
        # The same voxels at the same places.
        middle = np.rint(index[5]).astype(int)
        there = np.rint(image.index_points(part.physical_points([middle]))).astype(int)[0]
        assert part.array[tuple(middle[::-1])] == image.array[tuple(there[::-1])]
        assert part.array.size < 0.8 * image.array.size


def test_the_part_of_one_foot_is_one_foot_again():
    image = Scan().of(right_foot(), left_foot(100.0))
    for part, points in zip(foot_images(image, find_feet(image)), (right_foot(), left_foot(100.0)), strict=True):
        found = find_feet(part)
        assert len(found.feet) == 1
        assert (points > found.main.low).all()
        assert (points < found.main.high).all()


def test_a_piece_of_the_other_foot_at_the_edge_is_no_foot():
    image = Scan().of(right_foot(), left_foot(130.0))
    columns = round(image.index_points(left_foot(130.0)[:, :]).min(axis=0)[0]) + 12
    cut = dataclasses.replace(image, array=np.ascontiguousarray(image.array[:, :, :columns]))
    found = find_feet(cut)
    assert len(found.feet) == 1
    assert (right_foot() > found.main.low).all()
    assert (right_foot() < found.main.high).all()
    assert foot_images(cut, found) == (cut,)


@pytest.mark.parametrize(
    ("scan", "gain", "offset", "words"),
    [
        (Scan(offset=1000, dtype=np.uint16), 1.0, -1000.0, "0 was taken for air$"),
        (Scan(offset=1024, dtype=np.int16), 1.0, -1024.0, "24 was taken for air$"),
        (
            Scan(gain=0.06, offset=70, noise=0.0, dtype=np.uint8),
            1 / 0.06,
            -70 / 0.06,
            "10 was taken for air, 70 for soft",
        ),
        (Scan(gain=2.0, offset=500, dtype=np.float32), 0.5, -250.0, "-1500 was taken for air, 500 for soft tissue"),
    ],
    ids=["0 to 4095", "1024 higher", "8 bits", "doubled"],
)
def test_values_that_are_no_hounsfield_units_are_brought_there_and_named(scan, gain, offset, words):
    found = find_feet(scan.of(right_foot()))
    assert found.levels.warning.startswith("grey values are not Hounsfield units: ")
    assert pytest.approx(gain, rel=0.06) == found.levels.gain
    assert pytest.approx(offset, abs=75) == found.levels.offset
    values = found.levels.hounsfield(scan.of(right_foot()).array)
    assert values.dtype == np.float32
    assert np.median(values) == pytest.approx(AIR, abs=40)
    assert found.levels.stored(AIR) == pytest.approx(scan.gain * AIR + scan.offset, abs=30)
    (foot,) = found.feet
    assert (right_foot() > foot.low).all()
    assert (right_foot() < foot.high).all()


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 90.0), (1.15, 60.0), (0.9, -80.0)])
def test_a_scanner_that_is_somewhat_off_is_taken_at_its_word(gain, offset):
    image = Scan(gain=gain, offset=offset).of(right_foot())
    levels = find_feet(image).levels
    assert levels.warning is None
    assert levels.hounsfield(image.array) is image.array


def a_block(values, name="block.nrrd") -> Image:
    return Image(np.asarray(values), spacing=(2, 2, 2), spacing_source="test", name=name, modality="CT")


def phantom(*inserts: float) -> np.ndarray:
    """A bottle of water in air, 100 mm wide, with rods of these HU."""
    _, y, x = np.mgrid[0:60, 0:80, 0:80]
    values = np.where(np.hypot(x - 40, y - 40) < 25, 0, AIR)
    for k, insert in enumerate(inserts):
        values[np.hypot(x - 30 - 8 * k, y - 40) < 3] = insert
    return (values + np.random.default_rng(1).normal(scale=15, size=values.shape)).astype(np.int16)


def noise(kind: str) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(0, 400, (60, 70, 80)) if kind == "normal" else rng.uniform(-1000, 1500, (60, 70, 80))).astype(
        np.int16
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (noise("normal"), "no body stands out"),
        (noise("uniform"), "no body stands out"),
        (np.tile(np.linspace(-1000, 1500, 80).astype(np.int16), (60, 70, 1)), "no body stands out"),
        (phantom(), "hardly any bone"),
        (phantom(90, 120), "hardly any bone"),
        (np.pad(np.full((6, 6, 8), 900, np.int16), 20, constant_values=AIR), "no body stands out"),
        (np.pad(np.full((30, 6, 30), 60, np.int16), ((0, 0), (50, 9), (0, 0)), constant_values=AIR), "bone"),
    ],
    ids=["noise", "uniform noise", "ramp", "water", "weak rods", "screw", "board"],
)
def test_what_is_no_foot_is_refused_with_the_reason(values, reason):
    with pytest.raises(ImageError, match=reason) as refused:
        find_feet(a_block(values))
    assert str(refused.value).startswith("block.nrrd: no foot was recognised in this volume: ")


def test_a_radiograph_is_no_volume():
    with pytest.raises(ImageError, match="this is a flat image"):
        find_feet(a_block(np.zeros((1, 60, 60), np.int16)))


def test_the_real_scan_is_one_foot():
    image = read_image(shared_data("wbct") / "wbct_left_ankle.nrrd")
    found = find_feet(image)
    (foot,) = found.feet
    assert found.levels.warning is None
    # Heel to midfoot, 168 mm, and the leg's 100 mm of width: without the round field's border.
    assert foot.high - foot.low == pytest.approx([102, 168, 128], abs=8)
    assert 50 < foot.bone < 90
