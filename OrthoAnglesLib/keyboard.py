"""The keys of the panel: which there are, what they do, and when they work."""

from collections.abc import Callable
from dataclasses import dataclass

import qt
import slicer
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Key:
    """Key sequences (the first is shown), and the action with its arguments."""

    sequences: tuple[str, ...]
    action: str
    arguments: tuple = ()


_ARROWS = {
    "Left": (-1, 0, 0),
    "Right": (1, 0, 0),
    "Up": (0, -1, 0),
    "Down": (0, 1, 0),
    "PgUp": (0, 0, -1),
    "PgDown": (0, 0, 1),
}
_NUDGES = tuple(
    Key((f"Ctrl+{shift}{arrow}",), "nudge", tuple(factor * step for step in steps))
    for shift, factor in (("", 1), ("Shift+", 10))
    for arrow, steps in _ARROWS.items()
)

# Z and Y as in Slicer's Segment Editor: Ctrl+Z and Ctrl+Y are those of Slicer's Edit menu, and a key that two want
# works for neither. No bare arrows: they belong to the table that has the focus, and would move a landmark by accident.
KEYS = (
    Key(("N",), "nextLandmark"),
    Key(("B",), "previousLandmark"),
    Key(("A",), "accept"),
    Key(("P",), "place"),
    Key(("Del", "Backspace"), "unset"),
    Key(("R",), "reset"),
    *_NUDGES,
    Key(("Z",), "undo"),
    Key(("Y",), "redo"),
    Key(("Ctrl+Return", "Ctrl+Enter"), "confirmAndNext"),
    Key(("PgDown",), "nextImage"),
    Key(("PgUp",), "previousImage"),
    Key(("X",), "reject"),
)


def keysText() -> str:
    """What the panel says about the keys, as rich text."""
    lines = (
        ("N, B", _("next landmark, landmark before: centred and enlarged")),
        ("A", _("accept the landmark as it is and go on")),
        ("P", _("place it again with the next click")),
        ("Del", _("unset it: not visible")),
        ("R", _("back to where the network put it")),
        ("Ctrl + ← → ↑ ↓", _("move it by a pixel; with Shift by ten")),
        ("Ctrl + PgUp, PgDown", _("in a volume: move it back or forth by a voxel")),
        ("Z, Y", _("undo, redo")),
        ("Ctrl + Enter", _("confirm all landmarks and open the next image")),
        ("PgDown, PgUp", _("next image, image before")),
        ("X", _("reject the image: then say why, and Enter")),
    )
    rows = "".join(f"<tr><td><b>{keys}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for keys, text in lines)
    return f"<table>{rows}</table>"


class Keyboard:
    """Shortcuts in Slicer's window for one panel: they work while its module is open, wherever in the window the focus
    is, except where text is typed. ``actions`` maps the names in :data:`KEYS` to what they do.
    """

    def __init__(self, panel, actions: dict[str, Callable]) -> None:
        window = slicer.util.mainWindow() or panel.parent
        self._shortcuts = [
            self._shortcut(window, sequence, actions[key.action], key.arguments)
            for key in KEYS
            for sequence in key.sequences
        ]

    @staticmethod
    def _shortcut(window, sequence: str, action: Callable, arguments: tuple):
        shortcut = qt.QShortcut(qt.QKeySequence(sequence), window)
        shortcut.connect("activated()", lambda: action(*arguments))
        shortcut.enabled = False
        return shortcut

    def setEnabled(self, enabled: bool) -> None:
        """Whether the keys do anything."""
        for shortcut in self._shortcuts:
            shortcut.enabled = enabled

    def close(self) -> None:
        """Take the shortcuts off the window."""
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []
