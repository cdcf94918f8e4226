"""Which images a folder stands for, and what the results of parts are called."""

import itertools
import shutil

import numpy as np
import pytest
from support.image_files import write_dicom
from support.worklists import write_radiographs

from orthoangles.batch_names import images_of, part_names, printable

pytestmark = pytest.mark.unit

PIXELS = np.random.default_rng(0).integers(0, 4000, (60, 40)).astype(np.uint16)


def test_a_folder_stands_for_its_images_in_the_order_of_their_numbers(tmp_path):
    write_radiographs(tmp_path / "many", "case 10.png", "case 9.png", "case 9.overlay.png", ".hidden.png")
    (tmp_path / "many" / "case 9.mrk.json").write_text("{}")
    (tmp_path / "many" / "broken.dcm").write_text("no DICOM")
    (alone,) = write_radiographs(tmp_path, "alone.png")
    found = images_of([alone, tmp_path / "many"], 2)
    assert [path.name for path in found] == ["alone.png", "broken.dcm", "case 9.png", "case 10.png"]


def test_a_folder_of_one_picture_stands_for_it(tmp_path):
    paths = write_radiographs(tmp_path / "one", "x.png")
    assert images_of([tmp_path / "one"], 2) == paths


def test_what_is_no_folder_of_images_stays_as_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "empty", tmp_path / "gone.png"]
    assert images_of(paths, 2) == paths


def test_a_dicom_folder_is_one_volume_or_many_radiographs(tmp_path):
    series = tmp_path / "all" / "series"
    series.mkdir(parents=True)
    for k in range(3):
        write_dicom(series / f"{k}.dcm", PIXELS)
    assert images_of([series], 3) == [series]
    assert images_of([series], 2) == [series / f"{k}.dcm" for k in range(3)]
    shutil.copytree(series, tmp_path / "all" / "other")
    assert images_of([tmp_path / "all"], 3) == [tmp_path / "all" / name for name in ("other", "series")]
    single = tmp_path / "single"
    single.mkdir()
    write_dicom(single / "0.dcm", PIXELS)
    assert images_of([single], 2) == [single]


def test_no_two_parts_share_a_name_whatever_the_images_are_called():
    bases = ["x", "x-left", "x-left-2", "X-LEFT", "x-1", "x-left-left"]
    for names in itertools.permutations(bases, 4):
        if len({name.lower() for name in names}) < len(names):
            continue
        given = [stem.lower() for parts in part_names(names) for stem in parts.values()]
        everything = given + [name.lower() for name in names]
        assert len(set(everything)) == len(everything)


def test_the_second_left_part_has_a_name():
    (parts,) = part_names(["x"])
    assert (parts["left"], parts["left again"], parts["2"]) == ("x-left", "x-left-2", "x-2")


def test_names_that_no_file_in_utf8_can_hold_are_spelt_out():
    assert printable("Jörg") == "Jörg"
    assert printable(b"J\xf6rg.png".decode(errors="surrogateescape")) == r"J\udcf6rg.png"
