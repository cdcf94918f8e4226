"""The list of a folder: how far each image is, in what order, and what of it survives."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from support.worklists import MODEL, SPINE, spine_guess, whole, write_radiographs

from orthoangles.annotation.exporting import Review, export_case
from orthoangles.annotation.worklist import Worklist, neighbour, next_open
from orthoangles.errors import DatasetError
from orthoangles.images import read_image
from orthoangles.predictions import Prediction
from orthoangles.subjects import Subject

pytestmark = pytest.mark.unit


@pytest.fixture
def images(tmp_path):
    write_radiographs(tmp_path / "images", "a.png", "b10.png", "B9.png")
    return tmp_path / "images"


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "dataset"


def worklist(images, dataset, reader="AB", **options) -> Worklist:
    return Worklist(images, dataset, protocol=SPINE, reader=reader, **options)


def opened(listed: Worklist, name: str):
    """Open an image as a panel does: read it and note it."""
    path = listed.images / name
    image = read_image(path)
    listed.opened(listed.key(path), image.sha256)
    return image


def export(listed: Worklist, image, state="confirmed", at=1.0, prediction=None, **review):
    points = np.tile((at, at, 0.0), (68, 1))
    return export_case(
        listed.dataset.folder, image=image, protocol=SPINE, points=points, prediction=prediction,
        review=Review(listed.reader, state, **review),
    )  # fmt: skip


def states(listed: Worklist) -> dict[str, str]:
    return {entry.name: entry.state for entry in listed.entries()}


def entry_of(listed: Worklist, name: str):
    return next(entry for entry in listed.entries() if entry.name == name)


def test_images_are_listed_by_name_with_numbers_as_numbers(images, dataset):
    (images / "notes.txt").write_text("none")
    (images / ".hidden.png").write_bytes(b"none")
    assert list(states(worklist(images, dataset)).items()) == [("a.png", "new"), ("B9.png", "new"), ("b10.png", "new")]


def test_dicom_files_without_suffix_and_folders_of_slices_are_images_too(images, dataset):
    from support.planted import write_planted_dicom

    series = images / "ankle"
    series.mkdir()
    write_planted_dicom(images / "IM0001", np.zeros((20, 20), np.uint8))
    for k in range(2):
        write_planted_dicom(series / f"{k}", np.full((20, 20), k, np.uint8))
    (images / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (images / "empty").mkdir()
    assert list(states(worklist(images, dataset))) == ["a.png", "ankle", "B9.png", "b10.png", "IM0001"]


def test_a_missing_folder_is_an_empty_list(tmp_path, dataset):
    assert worklist(tmp_path / "nowhere", dataset).entries() == ()


@pytest.mark.parametrize("state", ["predicted", "corrected", "confirmed"])
def test_an_exported_case_tells_the_state(images, dataset, state):
    listed = worklist(images, dataset)
    export(listed, opened(listed, "a.png"), state)
    assert states(listed) == {"a.png": state, "B9.png": "new", "b10.png": "new"}
    assert entry_of(listed, "a.png").done == (state == "confirmed")


def test_a_state_is_known_after_a_crash_right_after_the_export(images, dataset):
    listed = worklist(images, dataset)
    export(listed, opened(listed, "a.png"))
    # The list of the crashed process is gone; a new one reads what lies on the disk, also under another file name.
    (images / "a.png").rename(images / "renamed.png")
    assert states(worklist(images, dataset))["renamed.png"] == "confirmed"
    assert worklist(images, dataset).position == listed.key(images / "renamed.png")


def test_a_case_that_is_taken_out_of_the_dataset_is_to_be_done_again(images, dataset):
    listed = worklist(images, dataset)
    export(listed, opened(listed, "a.png"))
    index = dataset / "dataset.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "cases": []}))
    assert states(listed)["a.png"] == "new"


def test_an_image_is_rejected_with_a_reason_until_that_is_taken_back(images, dataset):
    listed = worklist(images, dataset)
    key = listed.key(images / "a.png")
    listed.reject(key, " cut off ")
    entry = entry_of(worklist(images, dataset), "a.png")
    assert (entry.state, entry.reason, entry.done) == ("rejected", "cut off", True)
    listed.take_back_rejection(key)
    assert states(listed)["a.png"] == "new"
    with pytest.raises(ValueError, match="needs a reason"):
        listed.reject(key, " ")


def test_a_later_export_takes_a_rejection_back(images, dataset):
    listed = worklist(images, dataset)
    image = opened(listed, "a.png")
    listed.reject(listed.key(images / "a.png"), "cut off")
    case = export(listed, image)
    _date_export(dataset, case, "2100-01-01T00:00:00+00:00")
    assert states(listed)["a.png"] == "confirmed"
    _date_export(dataset, case, "2000-01-01T00:00:00+00:00")
    assert states(listed)["a.png"] == "rejected"


def _date_export(dataset, case_id, date):
    index = dataset / "dataset.json"
    content = json.loads(index.read_text())
    next(case for case in content["cases"] if case["id"] == case_id)["provenance"]["exported"] = date
    index.write_text(json.dumps(content))


def test_a_case_exported_as_rejected_says_why(images, dataset):
    listed = worklist(images, dataset)
    export(listed, opened(listed, "a.png"), "rejected", reason="a metal plate")
    assert (entry_of(listed, "a.png").state, entry_of(listed, "a.png").reason) == ("rejected", "a metal plate")


def test_two_readers_share_the_work_or_read_alone(images, dataset):
    one, other = worklist(images, dataset, "AB"), worklist(images, dataset, "CD")
    export(one, opened(one, "a.png"), "confirmed")
    export(other, opened(other, "a.png"), "corrected")
    other.reject(other.key(images / "B9.png"), "blurred")
    assert states(one) == states(other) == {"a.png": "confirmed", "B9.png": "rejected", "b10.png": "new"}
    assert [(each.reader, each.state) for each in entry_of(one, "a.png").readers] == [
        ("AB", "confirmed"), ("CD", "corrected"),
    ]  # fmt: skip
    alone = worklist(images, dataset, "CD", alone=True)
    assert states(alone) == {"a.png": "corrected", "B9.png": "rejected", "b10.png": "new"}


def test_an_image_of_two_feet_is_done_when_both_are(tmp_path):
    (path,) = write_radiographs(tmp_path / "images", "feet.png")
    listed = Worklist(tmp_path / "images", tmp_path / "dataset", protocol="foot-ap-hallux", reader="AB")
    protocol, image = listed.protocol, read_image(path)
    n = len(protocol.landmarks)
    feet = [_cut(image, 0, 20), _cut(image, 20, 40)]
    blank = Prediction(protocol.id, protocol.landmark_ids, np.zeros((n, 3)), np.ones(n), np.ones(n), MODEL)
    assert listed.predictions.put(listed.key(path), image, [Subject(f, blank, None, False, False, False) for f in feet])
    for foot, expected in zip(feet, ("corrected", "confirmed"), strict=True):
        export_case(listed.dataset.folder, image=foot, protocol=protocol, points=np.zeros((n, 3)),
                    review=Review("AB", "confirmed"), group="a patient")  # fmt: skip
        assert states(listed) == {"feet.png": expected}


def _cut(image, left, right):
    return replace(image, array=image.array[:, :, left:right], origin=image.physical_points([(left, 0, 0)])[0])


def test_a_prediction_makes_an_image_predicted_and_gives_its_confidence(images, dataset):
    listed = worklist(images, dataset)
    path = images / "a.png"
    image = read_image(path)
    guess = spine_guess(confidence=np.r_[np.full(34, 0.8), np.full(34, np.nan)])
    assert listed.predictions.put(listed.key(path), image, [whole(image, guess)])
    entry = entry_of(worklist(images, dataset), "a.png")
    assert entry.state == "predicted"
    assert entry.confidence == pytest.approx(0.4)  # a landmark that was not found counts as 0
    assert states(worklist(images, dataset, model="6" * 64))["a.png"] == "new"  # another model's


def test_orders_and_filters(images, dataset):
    listed = worklist(images, dataset)
    for name, confidence, moved in (("a.png", 0.9, 7.0), ("b10.png", 0.3, 2.0)):
        image = opened(listed, name)
        listed.predictions.put(listed.key(images / name), image, [whole(image, spine_guess(confidence))])
        export(listed, image, "corrected", at=5.0 + moved, prediction=spine_guess(confidence, at=5.0))
    entries = listed.entries()

    def names(order, **options):
        return [entry.name for entry in listed.arranged(entries, order, **options)]

    assert names("name") == ["a.png", "B9.png", "b10.png"]
    assert names("confidence") == ["b10.png", "a.png", "B9.png"]
    assert names("disagreement") == ["a.png", "b10.png", "B9.png"]
    assert names("name", states=["new", "confirmed"]) == ["B9.png"]
    assert names("name", text="b") == ["B9.png", "b10.png"]
    with pytest.raises(ValueError, match="order 'size'"):
        names("size")


def test_disagreement_is_the_mean_distance_of_the_readers_furthest_apart(images, dataset):
    for reader, at in (("AB", 1.0), ("CD", 4.0), ("EF", 5.0)):
        listed = worklist(images, dataset, reader)
        export(listed, opened(listed, "a.png"), at=at)
    assert listed.disagreement(entry_of(listed, "a.png")) == pytest.approx(4.0 * np.sqrt(2))
    assert np.isnan(listed.disagreement(entry_of(listed, "B9.png")))


def test_next_and_previous(images, dataset):
    listed = worklist(images, dataset)
    export(listed, opened(listed, "B9.png"))
    first, middle, last = listed.entries()
    assert neighbour((first, middle, last), first.key, 1) is middle
    assert neighbour((first, middle, last), first.key, -1) is None
    assert neighbour((first, middle, last), last.key, 1) is None
    assert neighbour((first, last), middle.key, 1) is first  # what is open is filtered out
    assert neighbour((), first.key, -1) is None
    assert next_open((first, middle, last)) is first
    assert next_open((first, middle, last), first.key) is last  # the middle one is confirmed
    assert next_open((first, middle, last), last.key) is first
    assert next_open((middle, last), last.key) is None


def test_copies_of_one_image_are_told_apart_by_their_place_and_share_their_state(images, dataset):
    (images / "a copy.png").write_bytes((images / "a.png").read_bytes())
    listed = worklist(images, dataset)
    first, second, *_ = entries = listed.entries()
    assert first.key == second.key
    assert neighbour(entries, first, 1) is second
    assert neighbour(entries, second, 1).name == "B9.png"
    assert neighbour(entries, second, -1) is first
    assert next_open(entries, second).name == "B9.png"
    assert neighbour((entries[2], first), second, -1) is entries[2]
    listed.reject(first.key, "twice")
    assert [entry.state for entry in listed.entries()] == ["rejected", "rejected", "new", "new"]


def test_without_a_dataset_notes_lie_hidden_beside_the_images(images):
    listed = worklist(images, None)
    listed.reject(listed.key(images / "a.png"), "blurred")
    assert states(worklist(images, ""))["a.png"] == "rejected"
    assert {path.name for path in images.iterdir()} == {"a.png", "b10.png", "B9.png", ".orthoangles"}


def test_a_dataset_is_a_worklist_with_each_image_once(images, dataset):
    for reader in ("AB", "CD"):
        listed = worklist(images, dataset, reader)
        export(listed, opened(listed, "a.png"), "corrected")
    export(listed, opened(listed, "B9.png"), "confirmed")
    of_dataset = Worklist(dataset, protocol=SPINE, reader="EF")
    assert sorted(states(of_dataset).values()) == ["confirmed", "corrected"]
    (todo,) = [entry for entry in of_dataset.entries() if not entry.done]
    export(of_dataset, read_image(todo.path), "confirmed")
    assert sorted(states(of_dataset).values()) == ["confirmed", "confirmed"]
    assert len(of_dataset.dataset.cases) == 4
    assert Worklist(dataset, protocol="foot-ap-hallux").entries() == ()


def test_of_a_dataset_what_is_noted_of_an_image_comes_with_it(images, dataset):
    listed = worklist(images, dataset)
    export(listed, replace(opened(listed, "a.png"), laterality="L", patient_age=14.0))
    of_dataset = Worklist(dataset, protocol=SPINE)
    (entry,) = of_dataset.entries()
    image = of_dataset.read_image(entry.path)
    assert (image.laterality, image.patient_age) == ("L", 14.0)
    assert (entry.origin.group, entry.origin.id) == (image.sha256[:16], entry.cases[0].id)
    assert listed.read_image(images / "a.png").sha256 == image.sha256
    assert listed.entries()[0].origin is None


def test_no_file_name_is_written(tmp_path, dataset):
    images = tmp_path / "images"
    (path,) = write_radiographs(images, "Quackenbush_Zaphodius.png")
    listed = worklist(images, dataset)
    image = opened(listed, path.name)
    listed.claims.take(listed.key(path))
    listed.reject(listed.key(path), "blurred")
    guess = spine_guess(warnings=(f"{path.name}: check it",))
    listed.predictions.put(listed.key(path), image, [whole(image, guess)])
    export(listed, image)
    written = [each for each in dataset.rglob("*") if each.is_file()]
    assert len(written) > 5
    assert not [each for each in written if b"Quackenbush" in each.read_bytes() or "Quackenbush" in str(each.name)]


def test_malformed_notes_are_named(images, dataset):
    listed = worklist(images, dataset)
    listed.reject(listed.key(images / "a.png"), "blurred")
    (notes,) = (listed.folder / "readers").glob("reader-*.json")
    notes.write_text("{broken")
    with pytest.raises(DatasetError, match=rf"{notes.name}: is malformed .* delete it"):
        listed.entries()


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(images, dataset):
    dataset.write_text("a file where the folder should be")
    listed = worklist(images, dataset)
    with pytest.raises(DatasetError, match="the worklist cannot be written"):
        listed.opened(listed.key(images / "a.png"))
    with pytest.raises(DatasetError, match=r"gone\.png: cannot be read"):
        listed.key(images / "gone.png")


def test_a_list_of_hundreds_is_read_again_quickly(tmp_path, dataset):
    write_radiographs(tmp_path / "many", *(f"{k}.png" for k in range(300)))
    listed = worklist(tmp_path / "many", dataset)
    for k in range(3):
        opened(listed, f"{k}.png")
    start = time.perf_counter()
    assert len(listed.entries()) == 300
    first = time.perf_counter() - start
    start = time.perf_counter()
    listed.entries()
    again = time.perf_counter() - start
    assert first < 5.0
    assert again < 1.0


def test_large_files_that_differ_within_are_two_images(tmp_path):
    from orthoangles.annotation.worklist.image_files import image_key

    content = np.random.default_rng(0).integers(0, 255, 3_000_000, dtype=np.uint8)
    (tmp_path / "a").write_bytes(content.tobytes())
    (tmp_path / "b").write_bytes(content.tobytes())
    content[-1] += 1
    (tmp_path / "c").write_bytes(content.tobytes())
    assert image_key(tmp_path / "a") == image_key(tmp_path / "b") != image_key(tmp_path / "c")
