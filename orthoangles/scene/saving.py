"""Scenes to .mrb bundles and back; a bundle is whole or not there, even where saving is interrupted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import slicer

from orthoangles.atomic import write_with
from orthoangles.scene.errors import SceneError
from orthoangles.scene.hosting import SceneHost, start_host

SUFFIX = ".mrb"


def save_scene(scene, path: str | Path) -> Path:
    """Write the scene with all its data into one .mrb file, replacing an older one only when the new one is whole.

    Raises:
        SceneError: not an .mrb path, no such folder, or a node that cannot be written; names the file.
    """
    path = _bundle_path(path)
    if not path.parent.is_dir():
        raise SceneError(f"{path.name}: the folder to save it in does not exist; make it first.")
    try:
        write_with(path, lambda temporary: _write(scene, temporary, path.name))
    except OSError as error:
        raise SceneError(f"{path.name}: cannot be written: {error.strerror}; choose another folder.") from error
    return path


def load_scene(path: str | Path, host: SceneHost | None = None) -> SceneHost:
    """Read an .mrb file into a scene, replacing what is in it; without ``host`` into a new head-less one.

    Raises:
        SceneError: no such file, or it is not a scene bundle; names the file.
    """
    path = _bundle_path(path)
    if not path.is_file():
        raise SceneError(f"{path.name}: there is no such file; check the path.")
    host = host or start_host()
    messages = slicer.vtkMRMLMessageCollection()
    with _same_working_folder():
        readable = host.scene.ReadFromMRB(str(path.resolve()), True, messages)
    if not readable:
        raise SceneError(f"{path.name}: is not a readable scene bundle; save it again. {_text(messages)}".strip())
    return host


def _write(scene, temporary: Path, name: str) -> None:
    url, root = scene.GetURL(), scene.GetRootDirectory()
    messages = slicer.vtkMRMLMessageCollection()
    try:
        with _same_working_folder():
            written = scene.WriteToMRB(str(temporary.resolve()), None, messages)
        if not written:
            raise SceneError(f"{name}: the scene could not be written. {_text(messages)}".strip())
    finally:
        # A scene remembers where it was saved last: that is not the temporary file.
        scene.SetURL(url)
        scene.SetRootDirectory(root)


@contextmanager
def _same_working_folder() -> Iterator[None]:
    """VTK's archive code goes into a temporary folder, and stays there, deleted, where an archive is broken."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


def _bundle_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise SceneError(f"{path.name}: a scene is saved as {SUFFIX}; give a name that ends so.")
    return path


def _text(messages) -> str:
    return messages.GetAllMessagesAsString().replace("\n", " ")
