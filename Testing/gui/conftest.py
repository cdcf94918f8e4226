"""A Slicer without its window, a radiograph, and networks that need no weights."""

import threading
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

TILTS = (0, 2, 5, 9, 12, 14, 12, 8, 2, -5, -11, -15, -16, -13, -8, -3, 0)
"""Degrees of each vertebra, T1 to L5: an S-shaped spine."""


def spine_points(tilts=TILTS) -> np.ndarray:
    """(68, 3) corners of vertebrae with these tilts, in the pixels of a 600 x 1400 radiograph."""
    points = []
    for k, tilt in enumerate(np.radians(tilts)):
        along, down = np.array([np.cos(tilt), np.sin(tilt)]), np.array([-np.sin(tilt), np.cos(tilt)])
        centre = np.array([300.0 + 30.0 * np.sin(k / 2.5), 70.0 + 78.0 * k])
        points += [centre + a * 50 * along + d * 28 * down for d in (-1, 1) for a in (-1, 1)]
    return np.column_stack([np.array(points), np.zeros(68)])


class PromptNetwork:
    """Places the landmarks of ``points`` at once; a few are uncertain, and one is not found."""

    def __init__(self, protocol, device: str = "auto", points: np.ndarray | None = None) -> None:
        self.protocol, self.device = protocol, device
        self.points = spine_points() if points is None else points
        self.calls = 0

    def predict(self, image, *, progress=None, cancelled=None):
        from orthoangles.predictions import ModelInfo, Prediction

        self.calls += 1
        if progress is not None:
            progress(0.5, "Looking for landmarks")
        confidence = np.linspace(0.95, 0.99, 68)
        confidence[[20, 41]] = 0.31, 0.52
        points, spread = self.points.copy(), np.full(68, 0.8)
        points[67], confidence[67], spread[67] = np.nan, np.nan, np.nan
        return Prediction(
            protocol=self.protocol.id,
            landmark_ids=self.protocol.landmark_ids,
            points=points,
            confidence=confidence,
            spread=spread,
            model=ModelInfo("prompt", "1.0", "0" * 64),
            device="cpu",
            seconds=0.1,
        )


class SlowNetwork(PromptNetwork):
    """Works until it is cancelled or ``go_on`` is set; ``started`` tells that the thread is in it."""

    def __init__(self, protocol, device: str = "auto") -> None:
        super().__init__(protocol, device)
        self.started, self.go_on, self.stopped = threading.Event(), threading.Event(), threading.Event()

    def predict(self, image, *, progress=None, cancelled=None):
        from orthoangles.errors import PredictionCancelled

        progress(0.3, "Looking for landmarks")
        self.started.set()
        self.thread = threading.current_thread()
        while not self.go_on.wait(0.005):
            if cancelled():
                self.stopped.set()
                raise PredictionCancelled("prediction was cancelled")
        return super().predict(image, progress=progress, cancelled=cancelled)


@pytest.fixture
def slicer_host(tmp_path):
    """The host with both modules loaded; fails the test where Qt or VTK swallowed an exception."""
    from gui.slicerhost.host import SlicerHost

    host = SlicerHost(REPOSITORY, tmp_path / "settings")
    try:
        host.load("CobbModule")
        host.load("FootAngleModule")
        yield host
        host.process_events()
    finally:
        host.close()
    assert host.errors == []


class Networks:
    """A backend factory: ``kind`` makes the networks, ``made`` lists them."""

    def __init__(self) -> None:
        self.kind, self.made = PromptNetwork, []

    def __call__(self, protocol, device):
        self.made.append(self.kind(protocol, device))
        return self.made[-1]


@pytest.fixture
def networks():
    """Which networks the panel gets."""
    return Networks()


@pytest.fixture
def cobb_panel(slicer_host, networks):
    """The Cobb panel, opened; its networks are those of ``networks``."""
    panel = slicer_host.panel("CobbModule")
    give_networks(panel, networks)
    return panel


def give_networks(panel, networks) -> None:
    """Let the panel's logic get its networks from there."""
    from OrthoAnglesLib.prediction import PredictionRunner

    panel.logic.runner = PredictionRunner(networks)


@pytest.fixture
def radiograph(tmp_path):
    """A PNG of 600 x 1400 pixels with a bright column."""
    from PIL import Image

    pixels = np.full((1400, 600), 40, np.uint8)
    pixels[:, 240:360] = 180
    path = tmp_path / "radiograph.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def measured(slicer_host, cobb_panel, radiograph):
    """The Cobb panel with a radiograph loaded and its landmarks placed by the network."""
    cobb_panel.image.load(str(radiograph))
    click(slicer_host, cobb_panel.ui.runButton)
    slicer_host.wait_until(lambda: cobb_panel.session is not None)
    slicer_host.process_events(0.15)
    return cobb_panel


@pytest.fixture
def images(tmp_path):
    """Three radiographs, each with other pixels, and a file that is none."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for k, name in enumerate(("a.png", "b.png", "c.png")):
        pixels = np.full((1400, 600), 40, np.uint8)
        pixels[:, 240 : 350 + k] = 180
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def working_folders(images, tmp_path):
    """Choose reader, images and dataset in a panel."""

    def choose(panel) -> None:
        panel.ui.readerLineEdit.text = "AB"
        panel.ui.imagesFolderPathLineEdit.currentPath = str(images)
        panel.ui.datasetFolderPathLineEdit.currentPath = str(tmp_path / "dataset")

    return choose


@pytest.fixture
def working(cobb_panel, working_folders):
    """The Cobb panel with reader, images and dataset chosen."""
    working_folders(cobb_panel)
    return cobb_panel


def click(host, button) -> None:
    """Click as the mouse does: a disabled button does nothing."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    QTest.mouseClick(host.native(button), Qt.MouseButton.LeftButton)


def cells(table, column: int) -> list[str]:
    """Texts of a column."""
    return [table.item(row, column).text() for row in range(table.rowCount)]
