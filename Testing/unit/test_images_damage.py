"""Damaged files of every format: an error that names the file, or an image, and nothing else: no crash, no hang, no
word on stdout or stderr.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pydicom.uid as uids
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from support.image_files import PATIENT, dicom_dataset, grey, write_dicom

from orthoangles.errors import ImageError
from orthoangles.images import read_image

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = {
    "a.png": {},
    "a.jpg": {"quality": 90},
    "progressive.jpg": {"progressive": True},
    "a.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "deflate.tif": {"compression": "tiff_deflate"},
}
VOLUMES = {"a.nrrd": False, "z.nrrd": True, "a.nii": False, "z.nii.gz": True, "a.mha": False, "z.mha": True}
DICOMS = ["plain.dcm", "rle.dcm", "lossless.dcm", "j2k.dcm", "deflated.dcm"]
ALL = [*PICTURES, *VOLUMES, *DICOMS]


def write(path: Path) -> Path:
    """A whole file of the kind that its name says, with pixels that fill it to the end."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 40), np.uint8)
    name = path.name
    if name in PICTURES:
        Pillow.fromarray(noise).save(path, **PICTURES[name])
    elif name in VOLUMES:
        sitk.WriteImage(sitk.GetImageFromArray(np.stack([noise, noise.T.reshape(48, 40)])), str(path), VOLUMES[name])
    elif name in ("lossless.dcm", "j2k.dcm"):
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG" if name == "lossless.dcm" else "JPEG2000")
        writer.Execute(sitk.GetImageFromArray(noise[None]))
    else:
        dataset = dicom_dataset(noise)
        if name == "rle.dcm":
            dataset.compress(uids.RLELossless)
        elif name == "deflated.dcm":
            dataset.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
    return path


def outcome(path: Path):
    """The image's pixels, or None for a fitting error."""
    try:
        return read_image(path).array
    except ImageError as error:
        text = str(error)
        assert text.startswith(path.name)
        assert len(text) < 400
        assert str(path.parent) not in text
        assert PATIENT not in text.upper()
        return None


@pytest.fixture(scope="session")
def whole_files(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {name: write(folder / name).read_bytes() for name in ALL}


# ---------------------------------------------------------------- cut off


@pytest.mark.parametrize("name", ALL)
def test_a_file_cut_anywhere_gives_an_error_and_no_half_image(tmp_path, whole_files, name, capfd):
    data = whole_files[name]
    path = tmp_path / name
    path.write_bytes(data)
    whole = outcome(path)
    assert whole is not None
    lengths = {
        *range(1, 200, 13),
        *range(max(1, len(data) - 40), len(data)),
        *np.linspace(1, len(data) - 1, 60, dtype=int),
    }
    for length in sorted(lengths):
        path.write_bytes(data[:length])
        read = outcome(path)
        # Without its last bytes (padding, a checksum, an end marker) a file may still hold the whole image.
        assert read is None or np.array_equal(read, whole), f"half an image at {length} of {len(data)} bytes"
    out, err = capfd.readouterr()
    assert out == err == ""


@pytest.mark.parametrize("name", [*ALL, "a.mhd", "a.nhdr", "noextension"])
def test_an_empty_file_is_called_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ImageError, match=rf"{name}.*empty"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", [*ALL, "a.mhd", "a.nhdr", "a.txt", "noextension"])
def test_text_under_any_name_is_refused(tmp_path, name):
    (tmp_path / name).write_text("Not an image at all.\n" * 100)
    assert outcome(tmp_path / name) is None


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png.*no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="null"):
        read_image("/dev/null")


@pytest.mark.skipif(not hasattr(__import__("os"), "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_hang_the_reader(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="pipe"):
        read_image(tmp_path / "pipe.png")


# ---------------------------------------------------------------- altered


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_altered_bytes_give_an_error_or_an_image(tmp_path_factory, whole_files, name, data):
    content = bytearray(whole_files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers are where it matters.
        at = data.draw(st.one_of(st.integers(0, min(400, len(content) - 1)), st.integers(0, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"altered-{name}"
    path.write_bytes(content)
    array = outcome(path)
    assert array is None or (array.ndim == 3 and np.isfinite(array.astype(float)).all())


@pytest.mark.parametrize(
    "start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"NRRD0004\n", b"\x1f\x8b\x08", b"NDims = 3\n"]
)
@settings(max_examples=40, deadline=None)
@given(rest=st.binary(max_size=300))
def test_any_bytes_behind_a_signature_are_survived(tmp_path_factory, start, rest):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(start + rest)
    outcome(path)


@settings(max_examples=80, deadline=None)
@given(rest=st.binary(max_size=300))
def test_any_bytes_behind_a_dicom_preamble_are_survived(tmp_path_factory, rest):
    path = tmp_path_factory.getbasetemp() / "fuzz.dcm"
    path.write_bytes(bytes(128) + b"DICM" + rest)
    outcome(path)


def test_random_damage_never_takes_the_process_down(tmp_path, whole_files):
    """In a child: a crash of a native reader ends its process; with limited memory, so that lies about sizes show."""
    for name, content in whole_files.items():
        (tmp_path / name).write_bytes(content)
    code = f"""
import random, resource, sys
from pathlib import Path
from orthoangles.errors import ImageError
from orthoangles.images import read_image
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
random.seed(1)
folder = Path({str(tmp_path)!r})
for path in sorted(folder.iterdir()):
    whole = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(random.choice([1, 2, 8])):
            at = random.randrange(min(len(damaged), random.choice([60, 400, 10**9])))
            damaged[at] = random.choice([0, 1, 127, 255, random.randrange(256)])
        target = folder.parent / ("damaged-" + path.name)
        target.write_bytes(damaged)
        try:
            read_image(target)
        except ImageError:
            pass
print("survived")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=REPOSITORY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "survived\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="libjpeg's words are not caught on Windows")
def test_a_jpeg_damaged_in_the_middle_is_refused(tmp_path):
    """libjpeg goes on with a shifted or grey rest; such a picture must not be measured."""
    path = tmp_path / "a.jpg"
    Pillow.fromarray(grey(400, 300)).save(path, quality=90)
    whole, refused = path.read_bytes(), 0
    for at in range(len(whole) // 4, len(whole) - 60, max(1, len(whole) // 40)):
        path.write_bytes(whole[:at] + b"\xff\xd0" + whole[at + 2 :])
        refused += outcome(path) is None
    assert refused >= 25


# ---------------------------------------------------------------- silence


def test_a_damaged_jpeg_says_nothing_on_stdout(tmp_path, whole_files):
    """libjpeg prints to stdout, where the command line prints JSON."""
    data = bytearray(whole_files["a.jpg"])
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(range(100, 140))
    (tmp_path / "a.jpg").write_bytes(data)
    code = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from orthoangles.images import read_image
print("before")
try:
    read_image({str(tmp_path / "a.jpg")!r})
except Exception as error:
    assert type(error).__name__ == "ImageError"
print("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "")


def test_output_works_again_after_reading(tmp_path, capfd):
    read_image(write(tmp_path / "a.png"))
    print("on stdout")
    print("on stderr", file=sys.stderr)
    assert capfd.readouterr() == ("on stdout\n", "on stderr\n")


def test_readers_in_several_threads_do_not_disturb_each_other(tmp_path, capfd):
    files = [write(tmp_path / name) for name in ("a.png", "a.nrrd", "plain.dcm", "lzw.tif")]
    bad = write_dicom(tmp_path / "bad.dcm", grey(), Rows=9000)
    expected = [read_image(path).sha256 for path in files]
    found: list[bool] = []

    def work():
        for _ in range(5):
            found.append([read_image(path).sha256 for path in files] == expected)
            assert outcome(bad) is None

    threads = [threading.Thread(target=work) for _ in range(4)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert time.monotonic() - start < 60
    assert found == [True] * 20
    print("still here")
    assert capfd.readouterr() == ("still here\n", "")
