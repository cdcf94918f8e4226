"""Installing and restoring weights, killed before each single file operation in turn: prints what each kill left.

    python killed_installs.py FOLDER install|restore

Every kill happens in a forked child, at the next of its file operations, until one goes through. Then the bundle must
load the old weights or the new ones, and the next attempt must do its work. Prints the numbers of kills that left the
old and the new weights.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orthoangles.bundle_versions import install, restore
from orthoangles.bundle_weights import read_metadata, weights_of

KILLED = 9


def small_bundle(folder: Path, text: str, parent: str = "") -> str:
    """A bundle with weights that no network reads; returns their digest."""
    for name in ("models", "configs", "docs"):
        (folder / name).mkdir(parents=True)
    weights = text.encode() * 1000
    digest = hashlib.sha256(weights).hexdigest()
    (folder / "models" / "model.pt").write_bytes(weights)
    (folder / "docs" / "README.md").write_text(text)
    about = {"weights_sha256": digest, "training": {"retrained_from": parent} if parent else {}}
    content = {"name": "small", "version": text, "orthoangles": about}
    (folder / "configs" / "metadata.json").write_text(json.dumps(content))
    return digest


def loaded(bundle: Path) -> str:
    """Digest of what the bundle loads, read from the very file."""
    path, digest = weights_of(bundle, read_metadata(bundle))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    return digest


def whole(bundle: Path, text: str) -> None:
    """Weights, card and metadata are of one set."""
    assert (bundle / "models" / "model.pt").read_bytes() == text.encode() * 1000
    assert (bundle / "docs" / "README.md").read_text() == text
    assert read_metadata(bundle)["version"] == text


def killed_before(number: int, work) -> bool:
    """Runs ``work`` in a child that dies before its file operation ``number``; false where it had fewer."""
    child = os.fork()
    if child == 0:
        done = 0

        def hook(event: str, _) -> None:
            nonlocal done
            if event == "open" or event.startswith(("os.", "shutil.")):
                done += 1
                if done > number:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), status
    return status == KILLED


def main(folder: Path, what: str) -> None:
    """See above."""
    old = small_bundle(folder / "template", "old")
    new = small_bundle(folder / "source", "new", old)
    if what == "restore":
        install(folder / "template", folder / "source")
    left = {old: 0, new: 0}
    number, killed = 0, True
    while killed:
        bundle = folder / "bundle"
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(folder / "template", bundle)
        if what == "install":
            killed = killed_before(number, lambda bundle=bundle: install(bundle, folder / "source"))
        else:
            killed = killed_before(number, lambda bundle=bundle: restore(bundle))
        left[loaded(bundle)] += killed
        recovered(bundle, folder / "source", old, new)
        number += 1
    print(json.dumps({"old": left[old], "new": left[new]}))


def recovered(bundle: Path, source: Path, old: str, new: str) -> None:
    """From wherever it was killed: install to the new weights, restore to the old ones, and no leftovers."""
    assert install(bundle, source) == new
    assert loaded(bundle) == new
    whole(bundle, "new")
    assert restore(bundle) == old
    assert loaded(bundle) == old
    whole(bundle, "old")
    assert install(bundle, bundle / "previous" / new) == new
    whole(bundle, "new")
    assert not list(bundle.rglob(".writing-*"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
