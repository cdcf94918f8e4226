"""Marks that look like text are found on radiographs, and bones are not taken for text."""

import numpy as np
import pytest
from support.stamped import stamp_text

from orthoangles.annotation.burned_in import text_marks
from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exporting import export_case
from orthoangles.annotation.exports import write_table
from orthoangles.images import Image
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.unit
TEXTS = ("DOE JOHN 1968", "A. Quackenbush", "ID 7733119", "12.03.2014")


@pytest.fixture(scope="module")
def films():
    return [simulate_spine(seed, (640, 320)).image for seed in range(12)]


def test_most_stamped_names_are_found_where_they_are(films):
    rng = np.random.default_rng(2)
    stamped = [stamp_text(film, TEXTS[i % 4], rng) for i, film in enumerate(films * 2)]
    legible = [each for each in stamped if each.legible]
    found = [any(each.touches(mark.box) for mark in text_marks(each.film)) for each in legible]
    assert len(legible) >= 20
    assert np.mean(found) >= 0.85


def test_spines_without_text_are_rarely_flagged(films):
    assert sum(bool(text_marks(film)) for film in films) <= 1


@pytest.mark.parametrize("kind", ["inverted", "12 bit", "float", "large"])
def test_dark_letters_other_depths_and_sizes_make_no_difference(films, kind):
    flat = np.zeros_like(films[0])
    flat[200:400, 60:260] = 120
    stamped = stamp_text(flat, "DOE JOHN 1968", np.random.default_rng(3), height=18)
    film = {
        "inverted": 255 - stamped.film,
        "12 bit": stamped.film.astype(np.uint16) * 16,
        "float": stamped.film.astype(np.float32) / 255,
        "large": np.kron(stamped.film, np.ones((5, 5), np.uint8)),
    }[kind]
    marks = text_marks(film)
    scale = 5 if kind == "large" else 1
    assert any(stamped.touches([side / scale for side in mark.box]) and mark.letters >= 8 for mark in marks)


def test_an_empty_picture_and_a_side_letter_are_no_text():
    flat = np.zeros((300, 200), np.uint8)
    assert text_marks(flat) == ()
    assert text_marks(stamp_text(flat + np.eye(300, 200, dtype=np.uint8), "L", np.random.default_rng(0)).film) == ()


def test_a_case_with_text_is_flagged_in_its_record_and_at_export(tmp_path, films):
    stamped = stamp_text(films[1], "DOE JOHN 1968", np.random.default_rng(3), height=18)
    points = np.full((68, 3), np.nan)
    flagged = export_case(tmp_path / "d", image=Image(stamped.film[None]), protocol="spine-ap-cobb", points=points)
    export_case(tmp_path / "d", image=Image(films[0][None]), protocol="spine-ap-cobb", points=points)
    boxes = Dataset(tmp_path / "d").case(flagged).provenance["image"]["burned_in_text"]
    assert boxes
    assert stamped.touches(boxes[0])
    assert write_table(tmp_path / "d", tmp_path / "t.csv").with_text == (flagged,)


def test_a_volume_is_not_searched(tmp_path):
    volume = Image(np.arange(20**3, dtype=np.int16).reshape(20, 20, 20), spacing_source="NRRD header")
    case_id = export_case(tmp_path, image=volume, protocol="foot-wbct", points=np.full((22, 3), np.nan))
    assert Dataset(tmp_path).case(case_id).provenance["image"]["burned_in_text"] is None
