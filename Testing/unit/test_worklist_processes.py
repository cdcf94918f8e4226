"""Two readers at once, each a process of its own, and processes that are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.worklists import SPINE, write_radiographs

from orthoangles.annotation.worklist import Worklist
from orthoangles.annotation.worklist.claims import Claims
from orthoangles.errors import DatasetError

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
PREPARE = """
import sys
from pathlib import Path
from orthoangles.annotation.worklist import Worklist, next_open
from orthoangles.annotation.worklist.claims import Claims
"""


def start(code: str, *arguments) -> subprocess.Popen:
    """A child process that runs ``code`` and prints lines."""
    command = [sys.executable, "-c", PREPARE + code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "claims"


HOLD = """
claims = Claims(Path(sys.argv[1]), "AB")
print(claims.take("a"), flush=True)
sys.stdin.readline()
claims.close()
"""


def test_an_image_that_another_process_has_open_is_not_given_away(folder):
    other, own = start(HOLD, folder), Claims(folder, "CD")
    try:
        assert other.stdout.readline() == "None\n"
        assert own.holders() == {"a": "AB"}
        assert own.take("a") == "AB"
        assert own.take("b") is None
        other.communicate("go on\n", timeout=30)
        assert own.holders() == {}
        assert own.take("a") is None
    finally:
        other.kill()
        own.close()
    assert {path.name for path in folder.iterdir()} == {".lock"}


def test_the_claim_of_a_killed_process_is_taken_over_at_once(folder):
    other, own = start(HOLD, folder), Claims(folder, "CD")
    other.stdout.readline()
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert own.holders() == {}
    assert own.take("a") is None
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1
    own.close()


def test_one_process_has_one_image_open(folder):
    one, other = Claims(folder, "AB"), Claims(folder, "CD")
    assert (one.take("a"), one.take("b")) == (None, None)
    assert other.holders() == {"b": "AB"}
    one.release()
    assert other.holders() == {}
    assert other.take("b") is None
    for each in (one, other):
        each.close()
        each.close()


def test_a_claim_of_another_computer_holds_while_it_is_renewed(folder, monkeypatch):
    from orthoangles.annotation.worklist import claims

    there, here = Claims(folder, "AB", stale_after=60), Claims(folder, "CD", stale_after=60)
    with monkeypatch.context() as patch:
        patch.setattr(claims, "_host", lambda: "another one")
        there.take("a")
    (claim,) = folder.glob("*/claim.json")
    there._alive.close()  # its lock cannot be seen from here
    assert here.take("a") == "AB"
    os.utime(claim, (time.time() - 100,) * 2)
    assert there.renew()
    assert here.take("a") == "AB"
    os.utime(claim, (time.time() - 100,) * 2)
    assert here.take("a") is None
    assert not there.renew()  # taken over: it has to ask again
    assert there.take("a") == "CD"
    here.close()
    there.close()


def test_a_claim_where_nothing_can_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="the worklist cannot be written"):
        Claims(tmp_path / "file" / "claims", "AB").take("a")


SHARE = """
import random, time
worklist = Worklist(sys.argv[1], sys.argv[2], protocol="spine-ap-cobb", reader=sys.argv[3])
key = ""
while True:
    entry = next_open(worklist.entries(), key)
    if entry is None:
        break
    key = entry.key
    if worklist.claims.take(key) is not None:
        continue
    # What another finished between the look and the claim is not done again.
    if next(each for each in worklist.entries() if each.key == key).done:
        continue
    worklist.opened(key)
    time.sleep(random.uniform(0, 0.02))
    worklist.reject(key, f"by {sys.argv[3]}")
    print(entry.name, flush=True)
worklist.close()
"""


def test_two_readers_share_a_folder_without_doing_an_image_twice(tmp_path):
    names = [f"{k}.png" for k in range(24)]
    write_radiographs(tmp_path / "images", *names)
    readers = [start(SHARE, tmp_path / "images", tmp_path / "dataset", reader) for reader in ("AB", "CD")]
    done = [process.communicate(timeout=120)[0].split() for process in readers]
    assert [process.returncode for process in readers] == [0, 0]
    entries = Worklist(tmp_path / "images", tmp_path / "dataset", protocol=SPINE).entries()
    # Whoever starts first may be done before the other has a single one; nothing is done twice or lost.
    assert sorted(done[0] + done[1]) == sorted(names)
    assert {entry.name: entry.reason for entry in entries} == {
        **dict.fromkeys(done[0], "by AB"), **dict.fromkeys(done[1], "by CD"),
    }  # fmt: skip


NOTE = """
import itertools
worklist = Worklist(sys.argv[1], sys.argv[2], protocol="spine-ap-cobb", reader=sys.argv[3])
for k in itertools.count(int(sys.argv[4])):
    worklist.reject(f"key {k}", f"reason {k}")
    print(k, flush=True)
"""


def test_a_process_killed_at_any_moment_loses_nothing_that_it_had_noted(tmp_path):
    images, dataset = tmp_path / "images", tmp_path / "dataset"
    images.mkdir()
    noted = 0
    chance = random.Random(3)
    for _ in range(10):
        process = start(NOTE, images, dataset, "AB", noted)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        lines = process.communicate()[0].split()
        noted = max([noted, *map(int, lines)]) + 1
        notes = Worklist(images, dataset, protocol=SPINE, reader="AB")._notes.of("AB")
        assert set(notes.images) >= {f"key {k}" for k in range(noted)}
        assert all(note.rejection.reason == key.replace("key", "reason") for key, note in notes.images.items())
    Worklist(images, dataset, protocol=SPINE, reader="AB").reject("last", "clears away what killed writers left")
    assert not list(dataset.rglob(".writing-*"))
