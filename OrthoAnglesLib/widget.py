"""The panel of both modules: scene events in, sections refreshed."""

import sys
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from OrthoAnglesLib.image_section import ImageSection
from OrthoAnglesLib.keyboard import Keyboard, keysText
from OrthoAnglesLib.measurement_section import MeasurementSection
from OrthoAnglesLib.prediction_section import PredictionSection
from OrthoAnglesLib.review_section import ReviewSection
from OrthoAnglesLib.space_section import SpaceSection
from OrthoAnglesLib.worklist_section import WorklistSection

# The values follow the mouse at once, what is long to show a little later.
_FOLLOW_AFTER_MS = 100
_UI_FILE = Path(__file__).parent / "Resources" / "UI" / "OrthoAngles.ui"


class OrthoAnglesWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """A module derives from it and says which protocols it offers and which logic does the work."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.session = None
        self._guiTag = None
        self._following = False
        self._stopUpdates = ()
        self._broken: set[tuple[str, str]] = set()

    # What a module states

    def offers(self) -> tuple:
        """The :class:`ProtocolOffer` entries of the module, at least one."""
        raise NotImplementedError

    def makeLogic(self):
        """The module's logic."""
        raise NotImplementedError

    def notice(self) -> str:
        """A remark above the panel; empty for none."""
        return ""

    # The life of the panel

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(_UI_FILE))
        self.layout.addWidget(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = self.makeLogic()
        self.ui.noticeLabel.text = self.notice()
        self.ui.noticeLabel.visible = bool(self.notice())
        self.image, self.prediction = ImageSection(self), PredictionSection(self)
        self.review, self.measurements = ReviewSection(self), MeasurementSection(self)
        self.space, self.worklist = SpaceSection(self), WorklistSection(self)
        self.keyboard = Keyboard(self, {**self.review.keyActions(), **self.worklist.keyActions()})
        self.ui.keysLabel.text = keysText()
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(_FOLLOW_AFTER_MS)
        self._later.connect("timeout()", self._follow)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def enter(self) -> None:
        """The user opened the module."""
        self.initializeParameterNode()
        self.keyboard.setEnabled(True)

    def exit(self) -> None:
        """The user went to another module: angles stay live, the panel follows again when it is opened."""
        self.keyboard.setEnabled(False)
        self._disconnectParameters()

    def cleanup(self) -> None:
        """The application closes or the module is reloaded: leave no observer, timer or thread."""
        self.showSession(None)
        self._disconnectParameters()
        self.removeObservers()
        if self.logic is not None:
            self.keyboard.close()
            self.worklist.close()
            self.prediction.close()
            self._later.stop()
            self.logic.close()

    def onReload(self) -> None:
        """Reload the packages behind the module with it."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("OrthoAnglesLib", "orthoangles")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # Scene events

    def onSceneStartClose(self, caller, event) -> None:
        """The scene is about to be emptied."""
        self.worklist.onSceneClose()
        self.prediction.forget()
        self.image.forget()
        self.showSession(None)
        self._disconnectParameters()
        self.parameters = None
        self._broken.clear()

    def onSceneEndClose(self, caller, event) -> None:
        """The scene is empty: start anew, if anybody looks."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        """A scene was loaded: show what it holds."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    # Parameters

    def initializeParameterNode(self) -> None:
        """Follow the parameter node of the present scene."""
        self._disconnectParameters()
        self.parameters = self.logic.getParameterNode()
        self.worklist.fillFromUser()
        if self.parameters.volume is None:
            self.parameters.volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self._guiTag = self.parameters.connectGui(self.ui)
        # The tag does not tell: some Slicer versions return None.
        self._following = True
        self.addObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._parametersModified)
        self._parametersModified()

    def _disconnectParameters(self) -> None:
        if not self._following:
            return
        self._following = False
        self.parameters.disconnectGui(self._guiTag)
        self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._parametersModified)

    def _parametersModified(self, caller=None, event=None) -> None:
        self.image.refresh()
        self._findSession()
        self.refresh()

    # Session

    def protocolAvailable(self) -> bool:
        """Whether this version ships the chosen protocol."""
        return any(offer.available for offer in self.offers() if offer.id == self.parameters.protocolId)

    def networkAvailable(self) -> bool:
        """Whether this version ships a network for the chosen protocol."""
        return any(offer.hasNetwork for offer in self.offers() if offer.id == self.parameters.protocolId)

    def _findSession(self) -> None:
        """The session of the chosen image and protocol, where the scene has one."""
        volume, protocolId = self.parameters.volume, self.parameters.protocolId
        wanted = None
        if volume is not None and self.protocolAvailable() and (volume.GetID(), protocolId) not in self._broken:
            # Said once: parameters change often, and each time this would fail again.
            self._broken.add((volume.GetID(), protocolId))
            with slicer.util.tryWithErrorDisplay(_("The measurement could not be restored.")):
                wanted = self.logic.session(volume, protocolId)
            self._broken.clear()
        if wanted is not self.session:
            self.showSession(wanted)

    def showSession(self, session) -> None:
        """Show a session and follow it; None shows none."""
        for stop in self._stopUpdates:
            stop()
        self._stopUpdates = ()
        self.session = session
        if session is not None:
            self._stopUpdates = (
                session.add_update_callback(self._sessionUpdated),
                session.add_close_callback(lambda ended: self.showSession(None)),
            )
        for section in (self.review, self.space, self.measurements):
            section.showSession(session)
        if self.parameters is not None:
            self.refresh()

    def _sessionUpdated(self, session) -> None:
        self.measurements.updateSession(session)
        self.review.updateSession(session)
        self.worklist.case.sessionUpdated()
        self._later.start()

    def _follow(self) -> None:
        self.measurements.updateRemarks(self.session)
        self.review.refreshRows()
        self.space.refresh()

    def refresh(self) -> None:
        """Enable and describe what can be done now."""
        for section in (self.prediction, self.review, self.worklist):
            section.refresh()
