"""COCO and labelme files of other annotation tools: landmarks found by name or order, and clear reasons where not."""

import base64
import json

import numpy as np
import pytest
from support.reviewed import PROTOCOL, reviewed_cases

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exports import write_coco
from orthoangles.annotation.importing import import_coco, import_labelme
from orthoangles.annotation.picture_files import write_image
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit
IDS = load_protocol(PROTOCOL).landmark_ids


def foreign_coco(folder, *, labels=IDS, points=None, visibility=2, **image):
    """A COCO file as another tool would write it, one image and one annotation."""
    folder.mkdir(exist_ok=True)
    case = reviewed_cases()[1]
    (folder / "images").mkdir(exist_ok=True)
    write_image(case.image, folder / "images" / "a.png")
    points = case.points if points is None else points
    keypoints = np.column_stack([points[: len(labels), :2], np.full(len(labels), visibility)])
    entry = {"id": 7, "file_name": "a.png", "width": 128, "height": 256, **image}
    content = {
        "images": [entry],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "keypoints": keypoints.ravel().tolist()}],
        "categories": [{"id": 3, "name": "spine", "keypoints": list(labels)}],
    }
    (folder / "labels.json").write_text(json.dumps(content))
    return case


def only_case(folder):
    (case,) = Dataset(folder).cases
    return case, Dataset(folder).read_points(case, IDS)


@pytest.mark.parametrize(
    "rename",
    [str, str.lower, lambda name: name.replace("-", "_"), lambda name: name.replace("-", " "),
     lambda name: load_protocol(PROTOCOL).landmark(name).name.upper()],
)  # fmt: skip
def test_keypoints_are_landmarks_by_id_or_name(tmp_path, rename):
    case = foreign_coco(tmp_path / "s", labels=[rename(name) for name in IDS])
    report = import_coco(tmp_path / "s", tmp_path / "d")
    assert report.failed == ()
    stored, points = only_case(tmp_path / "d")
    assert np.array_equal(points[:, :2], case.points[:, :2])
    assert stored.group == case.image.sha256[:16]
    assert stored.provenance["source"] == "coco"


def test_keypoints_in_another_order_and_a_part_of_them_find_their_landmarks(tmp_path):
    case = reviewed_cases()[1]
    labels = list(IDS[::-1][:30])
    foreign_coco(tmp_path / "s", labels=labels, points=case.points[::-1])
    import_coco(tmp_path / "s", tmp_path / "d")
    _, points = only_case(tmp_path / "d")
    assert np.array_equal(points[-30:, :2], case.points[-30:, :2])
    assert np.isnan(points[:-30]).all()


def test_keypoints_by_order_need_to_be_asked_for_and_as_many(tmp_path):
    labels = [f"kp {i}" for i in range(68)]
    case = foreign_coco(tmp_path / "s", labels=labels)
    reason = dict(import_coco(tmp_path / "s", tmp_path / "d").failed)["annotation 1 of image 1"]
    assert "its labels fit no protocol" in reason
    reason = import_coco(tmp_path / "s", tmp_path / "d", protocol=PROTOCOL).failed[0][1]
    assert "keypoint 1 (and 67 more) is no landmark of protocol spine-ap-cobb" in reason
    assert "--match order" in reason
    assert "kp" not in reason.replace("keypoint", "")
    reason = import_coco(tmp_path / "s", tmp_path / "d", protocol=PROTOCOL, show_names=True).failed[0][1]
    assert "keypoint 'kp 0' (and 67 more)" in reason
    assert "name the protocol" in import_coco(tmp_path / "s", tmp_path / "d", match="order").failed[0][1]
    assert import_coco(tmp_path / "s", tmp_path / "d", protocol=PROTOCOL, match="order").failed == ()
    assert np.array_equal(only_case(tmp_path / "d")[1][:, :2], case.points[:, :2])
    foreign_coco(tmp_path / "few", labels=labels[:5])
    reason = import_coco(tmp_path / "few", tmp_path / "e", protocol=PROTOCOL, match="order").failed[0][1]
    assert "there are 5 keypoints, but protocol spine-ap-cobb has 68 landmarks (T1-TL ... L5-BR)" in reason


def test_a_misspelt_keypoint_is_named_by_its_place_with_the_nearest_landmark(tmp_path):
    labels = list(IDS)
    labels[3] = "T1-BRR"
    foreign_coco(tmp_path / "s", labels=labels)
    reason = import_coco(tmp_path / "s", tmp_path / "d", protocol=PROTOCOL).failed[0][1]
    assert reason.startswith("keypoint 4 is no landmark of protocol spine-ap-cobb, nearest is 'T1-BR'")
    labels[3] = "T1_TL"
    foreign_coco(tmp_path / "s", labels=labels)
    assert "landmark 'T1-TL' stands there twice" in import_coco(tmp_path / "s", tmp_path / "d").failed[0][1]


def test_hidden_keypoints_stay_hidden_and_unset_ones_unset(tmp_path):
    foreign_coco(tmp_path / "s", visibility=1)
    import_coco(tmp_path / "s", tmp_path / "d")
    assert only_case(tmp_path / "d")[0].provenance["occluded"] == list(IDS)
    write_coco(tmp_path / "d", tmp_path / "again")
    content = json.loads((tmp_path / "again" / "annotations.json").read_text())
    assert set(content["annotations"][0]["keypoints"][2::3]) == {1}
    foreign_coco(tmp_path / "s", visibility=0)
    import_coco(tmp_path / "s", tmp_path / "none")
    assert np.isnan(only_case(tmp_path / "none")[1]).all()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"width": 640, "height": 640}, "has 128 x 256 pixels, but was labelled at another size"),
        ({"file_name": "b.png"}, "its image is missing"),
        ({"file_name": "../../../etc/passwd"}, "its image is missing"),
        ({"file_name": ""}, "its image is missing"),
        ({"file_name": None}, "its image is missing"),
        ({"id": 8}, "not among the file's images"),
    ],
)
def test_an_image_that_is_not_the_labelled_one_is_refused(tmp_path, image, reason):
    foreign_coco(tmp_path / "s", **image)
    report = import_coco(tmp_path / "s", tmp_path / "d")
    assert report.imported == ()
    assert reason in report.failed[0][1]


def test_of_two_files_of_one_name_the_path_decides(tmp_path):
    foreign_coco(tmp_path / "s", file_name="deep/images/a.png")
    (tmp_path / "s" / "other").mkdir()
    (tmp_path / "s" / "other" / "a.png").write_bytes(b"no picture")
    assert import_coco(tmp_path / "s" / "labels.json", tmp_path / "d").failed == ()
    foreign_coco(tmp_path / "s", file_name="a.png")
    assert "several images" in import_coco(tmp_path / "s", tmp_path / "d").failed[0][1]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["annotations"][0].update(keypoints=[1, 2]),
        lambda c: c["annotations"][0].update(keypoints=None),
        lambda c: c["annotations"][0].update(keypoints=["x"] * 204),
        lambda c: c["annotations"][0].update(category_id=99),
        lambda c: c["categories"][0].pop("keypoints"),
    ],
)
def test_an_annotation_without_keypoints_is_left_out_with_its_reason(tmp_path, change):
    foreign_coco(tmp_path / "s")
    path = tmp_path / "s" / "labels.json"
    content = json.loads(path.read_text())
    content["annotations"].append(json.loads(json.dumps(content["annotations"][0])))
    content["categories"].append({**content["categories"][0], "id": 4})
    content["annotations"][1]["category_id"] = 4
    change(content)
    path.write_text(json.dumps(content))
    report = import_coco(path, tmp_path / "d")
    assert len(report.imported) == 1
    assert "keypoints" in report.failed[0][1]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"images": []}', '{"images": [1], "annotations": [], "categories": []}']
)
def test_a_file_that_is_no_coco_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match=r"^the source: is (no COCO|not a JSON) file"):
        import_coco(tmp_path / "x.json", tmp_path / "d")
    with pytest.raises(DatasetError, match=r"x\.json: is"):
        import_coco(tmp_path / "x.json", tmp_path / "d", show_names=True)


def test_a_folder_must_hold_one_json_file(tmp_path):
    with pytest.raises(DatasetError, match="the source: holds no JSON file"):
        import_coco(tmp_path, tmp_path / "d")
    for name in "ab":
        (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(DatasetError, match="holds 2 JSON files"):
        import_coco(tmp_path, tmp_path / "d")


@pytest.mark.parametrize(
    "block",
    [None, [], {}, {"spacing": "x"}, {"spacing": [0, 0, 0]}, {"pixels": {"dtype": "object"}}, {"case": "../x"},
     {"group": 5, "split": "learn", "review": {"state": "perhaps"}, "model": {"name": 3}, "predicted": [[1]],
      "confidence": ["x"] * 68, "protocol": 3}],
)  # fmt: skip
def test_an_addition_that_is_not_ours_is_passed_over(tmp_path, block):
    case = foreign_coco(tmp_path / "s", orthoangles=block)
    path = tmp_path / "s" / "labels.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["orthoangles"] = content["categories"][0]["orthoangles"] = block
    path.write_text(json.dumps(content))
    assert import_coco(path, tmp_path / "d").failed == ()
    stored, points = only_case(tmp_path / "d")
    assert np.array_equal(points[:, :2], case.points[:, :2])
    assert stored.group == case.image.sha256[:16]


def foreign_labelme(folder, **changes):
    """A labelme file of another annotator."""
    folder.mkdir(exist_ok=True)
    case = reviewed_cases()[1]
    write_image(case.image, folder / "a.png")
    shapes = [
        {"label": name, "points": [[x + 0.5, y + 0.5]], "shape_type": "point", "group_id": None}
        for name, (x, y, _) in zip(IDS, case.points, strict=True)
    ]
    content = {"version": "5.0.1", "shapes": shapes, "imagePath": "..\\pictures\\a.png", "imageData": None,
               "imageHeight": 256, "imageWidth": 128, **changes}  # fmt: skip
    (folder / "a.json").write_text(json.dumps(content))
    return case, content


def test_labelme_counts_from_the_corner_of_a_pixel(tmp_path):
    case, _ = foreign_labelme(tmp_path / "s")
    assert import_labelme(tmp_path / "s", tmp_path / "d").failed == ()
    assert np.allclose(only_case(tmp_path / "d")[1][:, :2], case.points[:, :2], rtol=0, atol=1e-12)


def test_an_image_inside_a_labelme_file_is_taken(tmp_path):
    case, content = foreign_labelme(tmp_path / "s")
    content["imageData"] = base64.b64encode((tmp_path / "s" / "a.png").read_bytes()).decode()
    (tmp_path / "s" / "a.png").unlink()
    (tmp_path / "s" / "a.json").write_text(json.dumps(content))
    assert import_labelme(tmp_path / "s", tmp_path / "d").failed == ()
    dataset = Dataset(tmp_path / "d")
    assert dataset.read_image(dataset.cases[0]).sha256 == case.image.sha256


def test_groups_of_labelme_points_are_cases_and_other_shapes_are_passed_over(tmp_path):
    _, content = foreign_labelme(tmp_path / "s")
    others = [{**shape, "group_id": 1, "points": [[p + 3 for p in shape["points"][0]]]} for shape in content["shapes"]]
    line = {"label": "midline", "points": [[0, 0], [5, 5]], "shape_type": "line"}
    foreign_labelme(tmp_path / "s", shapes=[*content["shapes"], *others, line])
    report = import_labelme(tmp_path / "s", tmp_path / "d")
    assert len(report.imported) == 2
    dataset = Dataset(tmp_path / "d")
    first, second = (dataset.read_points(case, IDS) for case in dataset.cases)
    assert np.allclose(second - first, [3, 3, 0])
    assert dataset.cases[0].group == dataset.cases[1].group


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shapes": []}, "it has no points"),
        ({"shapes": [{"label": "T1-TL", "points": [[1]], "shape_type": "point"}]}, "shape 1 is no point"),
        ({"shapes": [{"label": "T1-TL", "points": [[1, 2], [3, 4]], "shape_type": "point"}]}, "shape 1 is no point"),
        ({"shapes": [{"label": "nose", "points": [[1, 2]]}]}, "fit no protocol"),
        ({"shapes": "x"}, "no list 'shapes'"),
        ({"imagePath": "gone.png"}, "its image is missing"),
        ({"imagePath": 5}, "its image is missing"),
        ({"imageData": "%%%"}, "imageData is damaged"),
        ({"imageWidth": 3}, "labelled at another size"),
    ],
)
def test_a_labelme_file_that_does_not_fit_is_named_by_its_number(tmp_path, changes, reason):
    foreign_labelme(tmp_path / "s", **changes)
    ((what, why),) = import_labelme(tmp_path / "s", tmp_path / "d").failed
    assert what == "file 1 of 1"
    assert reason in why
    ((what, _),) = import_labelme(tmp_path / "s", tmp_path / "d", show_names=True).failed
    assert what == "a.json"


def test_a_folder_without_labelme_files_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="the source: is no folder with labelme's"):
        import_labelme(tmp_path, tmp_path / "d")
