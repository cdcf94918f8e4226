"""What both modules can do, with or without their panel: the same calls serve scripts.

>>> logic = CobbModuleLogic()  # doctest: +SKIP
>>> volume = logic.loadImage("spine.png")  # doctest: +SKIP
>>> logic.process(volume, "spine-ap-cobb").result.by_id("cobb-clinical-major").value  # doctest: +SKIP
42.3
"""

from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from OrthoAnglesLib import dependencies
from OrthoAnglesLib.parameters import ModuleParameters
from OrthoAnglesLib.prediction import PredictionRunner, Target, shippedBackend


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
        from orthoangles.scene.volumes import add_volume

        dependencies.ensureMeasuring()
        volumeNode = add_volume(slicer.mrmlScene, read_image(path))
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
        return volumeNode

    @staticmethod
    def imageFacts(volumeNode) -> dict:
        """Side ("laterality"), age ("patient_age") and so on of the image, None where unknown."""
        from orthoangles.scene.volumes import volume_facts

        return volume_facts(volumeNode)

    def setImageFacts(self, volumeNode, laterality: str | None, age: float | None) -> None:
        """State side and age; sessions that measure the image follow."""
        facts = self.imageFacts(volumeNode)
        for name, value in (("laterality", laterality), ("patient_age", age)):
            if facts[name] != value:
                attribute = None if value is None else str(value)
                volumeNode.SetAttribute(f"OrthoAngles.{name}", attribute)
                volumeNode.Modified()

    # Landmarks

    def process(self, volumeNode, protocolId: str, device: str = "auto", progress=None, cancelled=None):
        """Let the network place the landmarks and wait for it; returns the live MeasurementSession.

        ``progress(fraction, message)`` and ``cancelled()`` are called while the network runs. Raises
        OrthoAnglesError (ImageError, ProtocolError, PredictionError, PredictionCancelled, DependencyError).
        """
        image, target = self._prepared(volumeNode, protocolId)
        prediction = self.runner.predict(image, target.protocol, device, progress, cancelled)
        return self._taken(target, prediction)

    def startPrediction(self, volumeNode, protocolId: str, device: str = "auto") -> None:
        """The same without waiting: poll ``runner`` and hand its result to :meth:`takePrediction`."""
        image, target = self._prepared(volumeNode, protocolId)
        self.runner.start(image, target, device)

    def takePrediction(self, prediction):
        """Put a polled prediction into the scene; None where its volume was deleted meanwhile."""
        target, self.runner.target = self.runner.target, None
        return self._taken(target, prediction) if target is not None else None

    def _prepared(self, volumeNode, protocolId: str):
        dependencies.ensureMeasuring()
        from orthoangles.predicting import require_network
        from orthoangles.protocols import load_protocol
        from orthoangles.scene.volumes import image_from_volume

        protocol = load_protocol(protocolId)
        require_network(protocol)  # before PyTorch is asked for
        dependencies.ensurePredicting()
        return image_from_volume(volumeNode, protocol), Target(volumeNode.GetID(), protocol)

    def _taken(self, target: Target, prediction):
        volumeNode = slicer.mrmlScene.GetNodeByID(target.volumeId)
        if volumeNode is None:
            return None
        session = self.session(volumeNode, target.protocol.id) or self.createSession(volumeNode, target.protocol.id)
        session.set_prediction(prediction)
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

    def createSession(self, volumeNode, protocolId: str):
        """A new session without landmarks, to place them by hand."""
        dependencies.ensureMeasuring()
        from orthoangles.scene import MeasurementSession

        return self._kept(MeasurementSession.create(volumeNode, protocolId))

    def _kept(self, session):
        key = (session.volume_node.GetID(), session.protocol.id)
        self._sessions[key] = session
        session.add_close_callback(lambda ended: self._forget(key, ended))
        return session

    def _forget(self, key: tuple[str, str], session) -> None:
        if self._sessions.get(key) is session:
            del self._sessions[key]

    def removeCase(self, volumeNode, protocolId: str) -> None:
        """Take an image and its measurement out of the scene."""
        from orthoangles.scene.drawn_nodes import remove_with_display

        session = self.session(volumeNode, protocolId)
        if session is not None:
            session.remove()
        remove_with_display(volumeNode)

    # Export

    def exportCorrection(self, session, datasetFolder: str | Path, reader: str) -> str:
        """Write the case to a dataset; returns its id there. DatasetError where that fails."""
        from orthoangles.annotation.exporting import export_session

        return export_session(datasetFolder, session, reader=reader)

    def close(self) -> None:
        """Stop the network and all sessions; the nodes stay in the scene."""
        self.runner.close()
        for session in tuple(self._sessions.values()):
            session.close()


def _hasLandmarks(sessionNode) -> bool:
    """False where the user deleted the landmarks: the measurement was given up."""
    from orthoangles.scene import SceneError
    from orthoangles.scene.session_nodes import landmarks_of

    try:
        return landmarks_of(sessionNode) is not None
    except SceneError:
        return False
