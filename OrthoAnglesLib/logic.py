"""What both modules can do, with or without their panel: the same calls serve scripts.

>>> logic = CobbModuleLogic()  # doctest: +SKIP
>>> volume = logic.loadImage("spine.png")  # doctest: +SKIP
>>> logic.process(volume, "spine-ap-cobb").result.by_id("cobb-clinical-major").value  # doctest: +SKIP
42.3
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from OrthoAnglesLib import dependencies
from OrthoAnglesLib.parameters import ModuleParameters
from OrthoAnglesLib.prediction import PredictionRunner, Target, shippedBackend
from OrthoAnglesLib.slice_views import resetSpaceViews, showVolume
from OrthoAnglesLib.subject_volumes import (
    exportGroup,
    familyOf,
    noteSide,
    siblingsOf,
    sideIsSeen,
    sourceOf,
    stateSide,
    volumeOfSubject,
)


class OrthoAnglesLogic(ScriptedLoadableModuleLogic):
    """Images, predictions, measurement sessions and export of one module.

    ``backendFactory(protocol, device)`` gives the network: an object with ``predict`` like
    :class:`orthoangles.predicting.Backend`.
    """

    def __init__(self, backendFactory: Callable = shippedBackend) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.runner = PredictionRunner(backendFactory)
        self._sessions: dict[tuple[str, str], object] = {}

    def getParameterNode(self) -> ModuleParameters:
        """The module's parameters in the scene."""
        return ModuleParameters(super().getParameterNode())

    # Images

    def loadImage(self, path: str | Path):
        """Read an image file or DICOM folder into a volume node and show it; ImageError where it cannot be used."""
        from orthoangles.images import read_image

        dependencies.ensureMeasuring()
        return self.addImage(read_image(path))

    def addImage(self, image):
        """Put an image that was read into the scene and show it; returns its volume node."""
        from orthoangles.scene.volumes import add_volume

        volumeNode = add_volume(slicer.mrmlScene, image)
        self.showImage(volumeNode)
        return volumeNode

    @staticmethod
    def image(volumeNode, protocolId: str):
        """The image of a volume node, as it is measured and exported."""
        from orthoangles.protocols import load_protocol
        from orthoangles.scene.volumes import image_from_volume

        return image_from_volume(volumeNode, load_protocol(protocolId))

    @staticmethod
    def showImage(volumeNode) -> None:
        """Show an image upright in the slice views."""
        showVolume(volumeNode)

    @staticmethod
    def otherFeet(volumeNode) -> tuple:
        """Volumes of the other feet of the same image; of all its feet where ``volumeNode`` is the image itself."""
        return siblingsOf(volumeNode)

    @staticmethod
    def sourceImage(volumeNode):
        """The image from which a foot was cut or turned upright; None for an image as it came."""
        return sourceOf(volumeNode)

    @staticmethod
    def sideFromImage(volumeNode) -> bool:
        """Whether the side was told by the landmarks, since nobody had stated it."""
        return sideIsSeen(volumeNode)

    @staticmethod
    def imageFacts(volumeNode) -> dict:
        """Side ("laterality"), age ("patient_age") and so on of the image, None where unknown."""
        from orthoangles.scene.volumes import volume_facts

        return volume_facts(volumeNode)

    def setImageFacts(self, volumeNode, laterality: str | None, age: float | None) -> None:
        """State side and age; sessions that measure the image follow. Both feet of an image are of one age."""
        if self.imageFacts(volumeNode)["laterality"] != laterality:
            stateSide(volumeNode)
            _setFact(volumeNode, "laterality", laterality)
        for each in familyOf(volumeNode):
            if self.imageFacts(each)["patient_age"] != age:
                _setFact(each, "patient_age", age)

    # Landmarks

    def process(self, volumeNode, protocolId: str, device: str = "auto", progress=None, cancelled=None):
        """Let the network place the landmarks and wait for it; returns the live MeasurementSession.

        Of an image that shows two feet it is the first one's; :meth:`processAll` gives both. Arguments and errors are
        the same.
        """
        return self.processAll(volumeNode, protocolId, device, progress, cancelled)[0]

    def processAll(self, volumeNode, protocolId: str, device: str = "auto", progress=None, cancelled=None) -> tuple:
        """The same with the session of every foot that the image shows.

        A foot that had to be cut out or turned has a volume of its own (``session.volume_node``); its points are those
        of the image. ``progress(fraction, message)`` and ``cancelled()`` are called while the network runs. Raises
        OrthoAnglesError (ImageError, ProtocolError, PredictionError, PredictionCancelled, DependencyError); an image
        without a foot, or of another view than the protocol's, is refused so.
        """
        image, target = self._prepared(volumeNode, protocolId)
        return self._taken(target, self.runner.predict(image, target.protocol, device, progress, cancelled))

    def startPrediction(self, volumeNode, protocolId: str, device: str = "auto") -> None:
        """The same without waiting: poll ``runner`` and hand its result to :meth:`takePrediction`."""
        image, target = self._prepared(volumeNode, protocolId)
        self.runner.start(image, target, device)

    def takePrediction(self, subjects) -> tuple:
        """Put what was polled into the scene: sessions as of :meth:`processAll`; none where its volume is gone."""
        target, self.runner.target = self.runner.target, None
        return self._taken(target, subjects) if target is not None else ()

    def takeSubjects(self, volumeNode, protocolId: str, subjects) -> tuple:
        """Put what was found in this volume's image before into the scene: sessions as of :meth:`processAll`."""
        from orthoangles.protocols import load_protocol

        return self._taken(Target(volumeNode.GetID(), load_protocol(protocolId)), subjects)

    def _prepared(self, volumeNode, protocolId: str):
        dependencies.ensureMeasuring()
        from orthoangles.predicting import require_network
        from orthoangles.protocols import load_protocol
        from orthoangles.scene.volumes import image_from_volume

        protocol = load_protocol(protocolId)
        require_network(protocol)  # before PyTorch is asked for
        dependencies.ensurePredicting()
        image = image_from_volume(volumeNode, protocol)
        if sideIsSeen(volumeNode):
            image = replace(image, laterality=None)
        return image, Target(volumeNode.GetID(), protocol)

    def _taken(self, target: Target, subjects) -> tuple:
        source = slicer.mrmlScene.GetNodeByID(target.volumeId)
        if source is None:
            return ()
        return tuple(self._measured(source, target, each, number) for number, each in enumerate(subjects, start=1))

    def _measured(self, source, target: Target, subject, number: int):
        volumeNode = volumeOfSubject(source, subject, number)
        noteSide(volumeNode, subject)
        session = self.session(volumeNode, target.protocol.id) or self.createSession(volumeNode, target.protocol.id)
        session.set_prediction(subject.prediction)
        return session

    # Sessions

    def session(self, volumeNode, protocolId: str):
        """The live session that measures this volume, brought back to life where it only lies in the scene; or None."""
        from orthoangles.scene import MeasurementSession

        session = self._sessions.get((volumeNode.GetID(), protocolId))
        if session is not None and not session.closed:
            return session
        node = MeasurementSession.find(slicer.mrmlScene, volumeNode, protocolId)
        if node is None or not _hasLandmarks(node):
            return None
        dependencies.ensureMeasuring()
        return self._kept(MeasurementSession.restore(node))

    def sessionsOf(self, volumeNode, protocolId: str) -> tuple:
        """The sessions of an image and of the feet that were cut from it, as far as there are any."""
        found = (self.session(each, protocolId) for each in familyOf(volumeNode))
        return tuple(session for session in found if session is not None)

    def createSession(self, volumeNode, protocolId: str):
        """A new session without landmarks, to place them by hand."""
        dependencies.ensureMeasuring()
        from orthoangles.scene import MeasurementSession

        session = self._kept(MeasurementSession.create(volumeNode, protocolId))
        if session.protocol.dimension == 3:
            self.showBones(volumeNode, True)
        return session

    # 3D view

    @staticmethod
    def showBones(volumeNode, visible: bool) -> None:
        """Render the bones of a CT volume in the 3D views, or stop."""
        from orthoangles.scene import bones_shown, show_bones

        if visible and not bones_shown(volumeNode):
            show_bones(volumeNode)
            resetSpaceViews()
        else:
            show_bones(volumeNode, visible)

    @staticmethod
    def bonesShown(volumeNode) -> bool:
        """Whether the 3D views show the bones."""
        from orthoangles.scene import bones_shown

        return bones_shown(volumeNode)

    def _kept(self, session):
        key = (session.volume_node.GetID(), session.protocol.id)
        self._sessions[key] = session
        session.add_close_callback(lambda ended: self._forget(key, ended))
        return session

    def _forget(self, key: tuple[str, str], session) -> None:
        if self._sessions.get(key) is session:
            del self._sessions[key]

    def removeCase(self, volumeNode) -> None:
        """Take an image, the feet that were cut from it, and their measurements out of the scene."""
        from orthoangles.scene.bones import forget_bones
        from orthoangles.scene.drawn_nodes import remove_with_display

        for each in familyOf(volumeNode):
            for protocolId in _measuredProtocols(each):
                session = self.session(each, protocolId)
                if session is not None:
                    session.remove()
            forget_bones(each)
            remove_with_display(each)

    # Export

    def exportCorrection(
        self,
        session,
        datasetFolder: str | Path,
        reader: str,
        seconds: float | None = None,
        group: str | None = None,
        rejected: str = "",
    ) -> str:
        """Write the case to a dataset; returns its id there.

        ``seconds`` is the time at work; ``group`` stands for the patient where that is known, else the image does;
        ``rejected`` says why the image is not to be used, if so. DatasetError where it fails.
        """
        from orthoangles.annotation.exporting import export_session

        group = group or exportGroup(session.volume_node)
        return export_session(datasetFolder, session, reader=reader, group=group, seconds=seconds, rejected=rejected)

    def close(self) -> None:
        """Stop the network and all sessions; the nodes stay in the scene."""
        self.runner.close()
        for session in tuple(self._sessions.values()):
            session.close()


def _setFact(volumeNode, name: str, value) -> None:
    volumeNode.SetAttribute(f"OrthoAngles.{name}", None if value is None else str(value))
    volumeNode.Modified()


def _measuredProtocols(volumeNode) -> list[str]:
    """Ids of the protocols by which a volume is measured."""
    from orthoangles.scene import session_nodes
    from orthoangles.scene.session_nodes import VOLUME

    nodes = session_nodes(volumeNode.GetScene())
    return [node.GetParameter("protocol") for node in nodes if node.GetNodeReference(VOLUME) is volumeNode]


def _hasLandmarks(sessionNode) -> bool:
    """False where the user deleted the landmarks: the measurement was given up."""
    from orthoangles.scene import SceneError
    from orthoangles.scene.session_nodes import landmarks_of

    try:
        return landmarks_of(sessionNode) is not None
    except SceneError:
        return False
