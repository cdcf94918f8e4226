"""Ground and 3D view, of a volume: what is level, which way the foot points, and what the 3D view shows."""

from dataclasses import replace

import slicer
from slicer.i18n import tr as _


class SpaceSection:
    """Hidden while no volume is measured. What it shows is kept by the session and by the volume's own display."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._filling = True
        for combo, choices in ((self._ui.groundComboBox, self._grounds()), (self._ui.axisComboBox, self._axes())):
            for value, text in choices:
                combo.addItem(text, value)
            combo.connect("currentIndexChanged(int)", self._frameChosen)
        for box, action in (
            (self._ui.frameCheckBox, self._frameChosen),
            (self._ui.axesCheckBox, self._axesChosen),
            (self._ui.bonesCheckBox, self._bonesChosen),
        ):
            box.connect("clicked()", action)
        self._ui.spaceCollapsibleButton.visible = False
        self._filling = False

    @staticmethod
    def _grounds() -> tuple:
        return (
            ("scanner", _("level, as the scanner's vertical has it")),
            ("landmarks", _("from the landmarks of heel and metatarsal heads")),
            ("plane", _("own plane, to turn in the views")),
        )

    @staticmethod
    def _axes() -> tuple:
        return (("landmarks", _("from the landmarks")), ("line", _("own line, to drag in the views")))

    def showSession(self, session) -> None:
        """Follow another session; None hides the section."""
        self._ui.spaceCollapsibleButton.visible = session is not None and session.protocol.dimension == 3
        self.refresh()

    def refresh(self) -> None:
        """Show how things stand: undo and deleted nodes change them too."""
        session = self._panel.session
        if session is None or session.protocol.dimension != 3:
            return
        self._filling = True
        settings = session.frame_settings
        for combo, value in ((self._ui.groundComboBox, settings.ground), (self._ui.axisComboBox, settings.axis)):
            combo.currentIndex = combo.findData(value)
        self._ui.frameCheckBox.checked = settings.shown
        self._ui.axesCheckBox.checked = session.settings.axes
        self._ui.bonesCheckBox.checked = self._panel.logic.bonesShown(session.volume_node)
        self._ui.frameInfoLabel.text = "\n".join(self._remarks(session))
        self._filling = False

    @staticmethod
    def _remarks(session) -> list[str]:
        remarks = [_("Check: {note}").format(note=note) for note in session.frame_notes]
        if session.frame_settings.ground == "plane":
            up = session.result.frame.up
            remarks.append(_("The plane leans {angle:.1f}° from level.").format(angle=_lean(up)))
        return remarks

    def _frameChosen(self, _index: int = 0) -> None:
        session = self._panel.session
        if self._filling or session is None:
            return
        wanted = replace(
            session.frame_settings,
            ground=_chosen(self._ui.groundComboBox),
            axis=_chosen(self._ui.axisComboBox),
            shown=self._ui.frameCheckBox.checked,
        )
        with slicer.util.tryWithErrorDisplay(_("The frame of measurement could not be changed.")):
            session.frame_settings = wanted
        self.refresh()

    def _axesChosen(self) -> None:
        session = self._panel.session
        session.settings = replace(session.settings, axes=self._ui.axesCheckBox.checked)

    def _bonesChosen(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The bones could not be shown."), waitCursor=True):
            self._panel.logic.showBones(self._panel.session.volume_node, self._ui.bonesCheckBox.checked)


def _chosen(combo) -> str:
    return combo.itemData(combo.currentIndex)


def _lean(up: tuple[float, float, float]) -> float:
    """Degrees between a unit vector and the vertical."""
    import numpy as np

    return float(np.degrees(np.arctan2(np.hypot(up[0], up[1]), up[2])))
