"""A patient's name, planted in every text field and file name of what comes in, is in nothing that goes out."""

import numpy as np
import pytest
from support import named_files
from support.named_files import NAME, holds_name, traces

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exporting import export_case
from orthoangles.annotation.exports import write_coco, write_labelme, write_table
from orthoangles.annotation.picture_files import bare_copy
from orthoangles.cli import main
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import read_image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.unit
PROTOCOL = load_protocol("spine-ap-cobb")
IDS = PROTOCOL.landmark_ids
SPINE = simulate_spine(1, (256, 128))
FLAT = {
    "dcm": named_files.write_dicom,
    "png": named_files.write_png,
    "jpg": named_files.write_jpeg,
    "tif": named_files.write_tiff,
    "nrrd": lambda path, pixels: named_files.write_nrrd(path, pixels[None]),
    "nii": lambda path, pixels: named_files.write_nifti(path, pixels[None]),
    "mha": lambda path, pixels: named_files.write_metaimage(path, pixels[None]),
}
PICTURES = ("dcm", "png", "jpg", "tif")


@pytest.fixture
def clinic(tmp_path):
    """A folder named after the patient."""
    folder = tmp_path / f"{NAME} 1968"
    folder.mkdir()
    return folder


@pytest.fixture
def silent(capfd, caplog):
    """What the test prints and logs must not hold the name."""
    caplog.set_level(0)
    yield
    said = capfd.readouterr()
    for text in (said.out, said.err, caplog.text):
        assert not holds_name(text.encode()), text


def write_all_formats(dataset, folder):
    for write in (write_coco, write_labelme, write_table):
        report = write(dataset, folder / write.__name__)
        assert not holds_name(str(report).encode())


@pytest.mark.parametrize("suffix", FLAT)
@pytest.mark.usefixtures("silent")
def test_a_correction_and_its_exports_do_not_name_the_patient(tmp_path, clinic, suffix):
    path = clinic / f"{NAME}_{suffix}.{suffix}"
    FLAT[suffix](path, SPINE.image)
    assert path.read_bytes().lower().count(NAME.lower().encode()) > 2
    image = read_image(path)
    points = image.physical_points(SPINE.points)
    nothing = np.full(68, np.nan)
    model = ModelInfo("m", "1", "0" * 64)
    prediction = Prediction(
        PROTOCOL.id, IDS, points, nothing, nothing, model, warnings=(f"{path.name}: corners cross",)
    )
    export_case(tmp_path / "d", image=image, protocol=PROTOCOL, points=points, prediction=prediction)
    write_all_formats(tmp_path / "d", tmp_path / "exports")
    assert len(Dataset(tmp_path / "d").cases) == 1
    assert traces(tmp_path / "d") == traces(tmp_path / "exports") == []


def test_the_planted_dicom_names_the_patient_everywhere(clinic):
    path = clinic / "a.dcm"
    assert named_files.write_dicom(path, SPINE.image) > 1500
    assert path.read_bytes().count(NAME.encode()) > 1500
    assert traces(clinic) == ["content of a.dcm"]


def source_of(kind, clinic, suffixes=None):
    """A source of that kind with the name wherever it may stand; returns how many cases it holds."""
    spots = SPINE.points[:, :2]
    if kind == "aasce":
        images, labels = clinic / "data" / "training", clinic / "labels" / "training"
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        named_files.write_jpeg(images / f"{NAME}-162 A AP.jpg", SPINE.image)
        (labels / "filenames.csv").write_text(f"{NAME}-162 A AP.jpg\n")
        shares = spots / [128, 256]
        np.savetxt(labels / "landmarks.csv", [np.concatenate([shares[:, 0], shares[:, 1]])], delimiter=",")
        np.savetxt(labels / "angles.csv", np.zeros((1, 3)), delimiter=",")
        return 1
    suffixes = suffixes or (tuple(FLAT) if kind == "slicer" else PICTURES)
    for suffix in suffixes:
        name = f"{NAME}_{suffix}"
        FLAT[suffix](clinic / f"{name}.{suffix}", SPINE.image)
        if kind == "slicer":
            points = read_image(clinic / f"{name}.{suffix}").physical_points(SPINE.points)
            (clinic / f"{name}.mrk.json").write_text(named_files.markups_file(IDS, points))
        elif kind == "labelme":
            (clinic / f"{name}.json").write_text(named_files.labelme_file(f"{name}.{suffix}", IDS, spots + 0.5))
    if kind == "coco":
        pictures = {f"{NAME}_{suffix}.{suffix}": (128, 256) for suffix in suffixes}
        (clinic / f"{NAME}.json").write_text(named_files.coco_file(pictures, IDS, spots))
    return len(suffixes)


@pytest.mark.parametrize("kind", ["slicer", "coco", "labelme", "aasce"])
@pytest.mark.usefixtures("silent")
def test_an_import_and_its_exports_do_not_name_the_patient(tmp_path, clinic, kind):
    count = source_of(kind, clinic)
    assert traces(clinic)
    assert main(["import", "--from", kind, str(clinic), "--output", str(tmp_path / "d")]) == 0
    for target in ("coco", "labelme", "csv"):
        arguments = ["export", "--dataset", str(tmp_path / "d"), "--to", target]
        assert main([*arguments, "--output", str(tmp_path / "exports" / target)]) == 0
    dataset = Dataset(tmp_path / "d")
    assert len(dataset.cases) == count
    for case in dataset.cases:
        points = dataset.read_image(case).index_points(dataset.read_points(case, IDS))
        assert np.allclose(points, SPINE.points, atol=1e-6)
    assert traces(tmp_path / "d") == traces(tmp_path / "exports") == []


DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 3]),
    "text": lambda path: path.write_text(f"{NAME} {NAME}"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a word for a landmark": lambda path: path.write_text(path.read_text().replace("T3-TL", NAME)),
    "a word for a number": lambda path: path.write_text(path.read_text().replace("[", f'["{NAME}", ', 3)),
    "a word in a table": lambda path: path.write_text(path.read_text().replace("0.", f"{NAME}.", 1)),
    "a word for a list": lambda path: path.write_text(
        f'{{"shapes": "{NAME}", "images": "{NAME}", "markups": "{NAME}"}}'
    ),
    "another size": lambda path: named_files.write_png(path, SPINE.image[::2, ::2]),
}


IN_JSON = ("a word for a landmark", "a word for a number", "a word for a list")
DAMAGED = [
    (kind, damage) for kind in ("slicer", "coco", "labelme") for damage in DAMAGE if damage != "a word in a table"
]
DAMAGED += [("aasce", damage) for damage in DAMAGE if damage not in IN_JSON]


@pytest.mark.parametrize(("kind", "damage"), DAMAGED)
@pytest.mark.usefixtures("silent")
def test_no_message_about_a_damaged_source_names_the_patient(tmp_path, clinic, kind, damage):
    """Each file of the source is damaged in turn, and the import asked for with and without the protocol."""
    source_of(kind, clinic, ("png",))
    files = [path for path in clinic.rglob("*") if path.is_file()]
    failed = 0
    for number, path in enumerate(files):
        before = path.read_bytes()
        try:
            DAMAGE[damage](path)
        except UnicodeDecodeError:  # A picture, of which no word can be exchanged.
            continue
        for options in ([], ["--protocol", "spine-ap-cobb"]) if kind != "aasce" else ([],):
            out = tmp_path / f"d{number}{len(options)}"
            failed += main(["import", "--from", kind, str(clinic), "--output", str(out), *options])
            if out.exists():
                assert traces(out) == []
        path.write_bytes(before)
    assert failed > 0


def test_names_are_shown_where_they_are_asked_for(tmp_path, clinic, capsys):
    source_of("labelme", clinic)
    (clinic / f"{NAME}_png.png").unlink()
    assert main(["import", "--from", "labelme", str(clinic), "--output", str(tmp_path / "d"), "--show-names"]) == 1
    assert f"error: {NAME}_png.json: its image is missing" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", FLAT)
def test_a_bare_copy_is_the_same_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    FLAT[suffix](path, SPINE.image)
    copy = bare_copy(path)
    assert copy.suffix == {"jpg": ".jpg", "png": ".png", "tif": ".png"}.get(suffix, ".nrrd")
    assert copy.size == (128, 256)
    out = tmp_path / "out"
    out.mkdir()
    copy.write(out / f"a{copy.suffix}")
    assert traces(out) == []
    assert np.array_equal(read_image(out / f"a{copy.suffix}").array, read_image(path).array)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30, "restart_marker_blocks": 4}])
@pytest.mark.parametrize("colour", [False, True])
def test_a_bare_jpeg_keeps_its_compressed_pixels(tmp_path, options, colour):
    from PIL import Image

    pixels = np.dstack([SPINE.image, SPINE.image // 2, 255 - SPINE.image]) if colour else SPINE.image
    exif = Image.Exif()
    exif[270] = NAME
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, comment=NAME.encode(), **options)
    copy = bare_copy(tmp_path / "a.jpg")
    copy.write(tmp_path / "b.jpg")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.jpg")), np.asarray(Image.open(tmp_path / "b.jpg")))
    assert not holds_name((tmp_path / "b.jpg").read_bytes())
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


def test_a_jpeg_that_its_exif_turns_is_written_upright(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[274], exif[270] = 6, NAME
    Image.fromarray(SPINE.image).save(tmp_path / "a.jpg", exif=exif)
    copy = bare_copy(tmp_path / "a.jpg")
    assert (copy.suffix, copy.size) == (".png", (256, 128))
    copy.write(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png").array, read_image(tmp_path / "a.jpg").array)


@pytest.mark.parametrize("end", [0, 10, 200, 2000, -2])
def test_a_cut_off_jpeg_is_refused(tmp_path, end):
    named_files.write_jpeg(tmp_path / "a.jpg", SPINE.image)
    data = (tmp_path / "a.jpg").read_bytes().removesuffix(NAME.encode())
    (tmp_path / "a.jpg").write_bytes(data[:end])
    with pytest.raises(OrthoAnglesError):
        bare_copy(tmp_path / "a.jpg")
