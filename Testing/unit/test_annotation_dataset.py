"""A dataset folder: case by case, replaced as a whole, valid whenever its writer dies."""

import multiprocessing

import numpy as np
import pytest

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path / "corrections")


def points_of(value: float) -> np.ndarray:
    return np.full((68, 3), value)


def add(dataset, case_id, protocol, value=1.0, **options):
    options = {"group": case_id, "points": points_of(value), **options}
    return dataset.add_case(
        case_id, image_suffix=".png", write_image=lambda path: path.write_bytes(b"png"), protocol=protocol, **options
    )


def test_a_case_comes_back_as_it_was_written(dataset, protocol):
    written = add(dataset, "a", protocol, 2.5, group="patient-1", split="train", predicted=points_of(2.0),
                  provenance={"source": "test"})  # fmt: skip
    assert dataset.cases == (written,)
    case = dataset.case("a")
    assert (case.group, case.split, case.protocol) == ("patient-1", "train", "spine-ap-cobb")
    assert np.array_equal(dataset.read_points(case, protocol.landmark_ids), points_of(2.5))
    assert np.array_equal(dataset.read_predicted(case, protocol.landmark_ids), points_of(2.0))
    assert case.provenance == {"source": "test"}
    assert dataset.problems() == ()


def test_dataset_json_is_a_monai_datalist(dataset, protocol):
    from monai.data import load_decathlon_datalist

    add(dataset, "a", protocol, group="patient-1", split="train")
    items = load_decathlon_datalist(dataset.folder / "dataset.json", False, "cases")
    assert items[0]["image"] == str(dataset.folder / "a.png")
    assert {"points", "protocol", "group", "split", "provenance"} <= items[0].keys()


def test_the_same_id_replaces_and_leaves_no_old_file(dataset, protocol):
    add(dataset, "a", protocol, 1.0, predicted=points_of(0.0))
    add(dataset, "b", protocol, 5.0)
    for value in (2.0, 3.0):
        add(dataset, "a", protocol, value)
    case = dataset.case("a")
    assert case.revision == 3
    assert len(dataset.cases) == 2
    assert np.array_equal(dataset.read_points(case, protocol.landmark_ids), points_of(3.0))
    assert dataset.read_predicted(case, protocol.landmark_ids) is None
    names = {path.name for path in dataset.folder.iterdir()}
    assert names == {".lock", "dataset.json", "b.png", "b.mrk.json", "a.r3.png", "a.r3.mrk.json"}


def test_cases_added_together_are_named_when_one_of_them_fails(dataset, protocol):
    def fail(path):
        raise DatasetError("no picture")

    def add_two():
        options = {"image_suffix": ".png", "protocol": protocol, "points": points_of(1), "group": "g"}
        with dataset.adding(flush_every=100) as add_many:
            add_many("a", write_image=lambda path: path.write_bytes(b""), **options)
            add_many("b", write_image=fail, **options)

    with pytest.raises(DatasetError, match="no picture"):
        add_two()
    assert [case.id for case in dataset.cases] == ["a"]
    assert dataset.problems() == ()


@pytest.mark.parametrize("case_id", ["", "../evil", "a/b", "a.r2", "a b", "ä", "x" * 200])
def test_an_id_that_is_no_file_name_is_refused(dataset, protocol, case_id):
    with pytest.raises(DatasetError, match="case id"):
        add(dataset, case_id, protocol)


def test_group_and_split_are_checked(dataset, protocol):
    with pytest.raises(DatasetError, match="no group"):
        add(dataset, "a", protocol, group="")
    with pytest.raises(DatasetError, match="'learn' of case 'a' is not one of train, validation, test"):
        add(dataset, "a", protocol, split="learn")


INDEX_OUTSIDE = """{"format": "orthoangles-dataset", "version": 1, "cases": [
    {"id": "a", "image": "../../x.png", "points": "a", "protocol": "p", "group": "g"}]}"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"), ("[]", "is not an orthoangles-dataset"), ('{"format": "x"}', "is not an"),
        ('{"format": "orthoangles-dataset", "version": 2, "cases": []}', "of version 1"),
        ('{"format": "orthoangles-dataset", "version": 1, "cases": [{"id": "a"}]}', "case 0 has no text 'image'"),
        ('{"format": "orthoangles-dataset", "version": 1, "cases": ["a"]}', "case 0 is not an object"),
        (INDEX_OUTSIDE, "is not the name of a file in the dataset's folder"),
    ],
)  # fmt: skip
def test_a_malformed_index_is_named_with_its_reason(dataset, content, message):
    dataset.folder.mkdir()
    (dataset.folder / "dataset.json").write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        _ = dataset.cases
    assert str(dataset.folder.parent) not in str(caught.value)


def test_a_folder_without_index_is_no_dataset(dataset):
    with pytest.raises(DatasetError, match=r"holds no dataset\.json"):
        _ = dataset.cases


def test_an_unwritable_place_is_an_error_with_its_name(tmp_path, protocol):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="file: cannot be written"):
        add(Dataset(tmp_path / "file"), "a", protocol)


def test_problems_name_missing_files_bad_labels_and_parted_groups(dataset, protocol):
    add(dataset, "a", protocol, group="p", split="train")
    add(dataset, "b", protocol, group="p", split="test")
    add(dataset, "c", protocol)
    (dataset.folder / "a.png").unlink()
    path = dataset.folder / "c.mrk.json"
    path.write_text(path.read_text().replace("T5-TL", "T5-XX"))
    problems = "\n".join(dataset.problems())
    assert "case 'a': file a.png is missing" in problems
    assert "'T5-XX' is not one of" in problems
    assert "group 'p' stands in more than one split (test, train)" in problems


def _add_many(folder, name, count):
    for number in range(count):
        add(Dataset(folder), f"{name}{number}", load_protocol("spine-ap-cobb"))


def test_two_writers_at_once_lose_nothing(dataset):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_many, args=(dataset.folder, name, 6)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(dataset.cases) == 12
    assert dataset.problems() == ()
