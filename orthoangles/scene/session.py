"""One measured image, live in the scene: landmarks that a reader moves, and angles that follow in the same event."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import slicer
import vtk

from orthoangles.errors import ImageError
from orthoangles.images import Image
from orthoangles.measuring import measure
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol, load_protocol
from orthoangles.results import MeasurementResult
from orthoangles.scene import placing
from orthoangles.scene.drawn_nodes import remove_with_display
from orthoangles.scene.errors import SceneError
from orthoangles.scene.folder import folder_of, make_folder, remove_if_empty
from orthoangles.scene.frame_settings import FrameSettings
from orthoangles.scene.landmarks import LandmarkNode
from orthoangles.scene.observing import Observers
from orthoangles.scene.picture import Picture, SpacePicture
from orthoangles.scene.reader_frame import ReaderFrame
from orthoangles.scene.record import CaseRecord, Review
from orthoangles.scene.session_nodes import (
    VOLUME,
    adopt_landmarks,
    is_session_node,
    landmarks_of,
    make_session_node,
    protocol_of,
    session_nodes,
    volume_of,
)
from orthoangles.scene.settings import DrawingSettings
from orthoangles.scene.volumes import image_from_volume, volume_facts, volume_geometry


class MeasurementSession:
    """Measures one volume by one protocol while its landmarks move; see :meth:`create` and :meth:`restore`.

    Every change of the landmarks (mouse, undo, script) is measured in the event that reports it: when
    ``markups_node`` has moved, :attr:`result`, the table and the drawing are those of the new place. Points are
    (n, 3) float64, LPS mm, NaN where unset. An open session is kept alive by its observers: end it with
    :meth:`close`. It ends by itself when its volume or landmarks are deleted or the scene is closed.

    >>> session = MeasurementSession.create(volume_node, "spine-ap-cobb")  # doctest: +SKIP
    >>> session.set_prediction(backend.predict(image))  # doctest: +SKIP
    >>> session.result.by_id("cobb-clinical-major").value  # doctest: +SKIP
    42.3
    """

    def __init__(self, parameter_node) -> None:
        """Open the session that ``parameter_node`` describes; use :meth:`create` or :meth:`restore`."""
        self.parameter_node = parameter_node
        self.scene = parameter_node.GetScene()
        self.protocol = protocol_of(parameter_node)
        self.volume_node = volume_of(parameter_node)
        self.markups_node = landmarks_of(parameter_node)
        self.closed = False
        self._landmarks = LandmarkNode(self.markups_node, self.protocol)
        self._record = CaseRecord(self.markups_node, self.protocol)
        self._settings = DrawingSettings.read(parameter_node, self.protocol)
        self._reader_frame: ReaderFrame | None = None
        if self.protocol.dimension == 3:
            self._reader_frame = ReaderFrame(parameter_node, self.protocol, self._on_frame_moved)
            self._picture = SpacePicture(parameter_node, self.protocol, self._reader_frame)
        else:
            self._picture = Picture(parameter_node, self.protocol)
        self._update_callbacks: list[Callable] = []
        self._close_callbacks: list[Callable] = []
        self._marked = b""
        self._read_volume()
        self._points = self._landmarks.read()
        self._corrected = self._record.corrected(self._points)
        self.result: MeasurementResult = self._measure()
        self._observers = Observers()
        self._observe()
        self.markups_node.SetLocked(False)
        self._show()
        self._mark()

    # Making, finding, ending

    @classmethod
    def create(cls, volume_node, protocol: Protocol | str, *, image: Image | None = None) -> "MeasurementSession":
        """Start measuring a volume: all landmarks unset.

        Args:
            volume_node: a scalar volume in a scene.
            protocol: a protocol that ships, or its id.
            image: what the volume was made from, where at hand; spares a copy of the pixels later.

        Raises:
            ImageError: the volume is not what the protocol measures.
            ProtocolError: unknown protocol.
        """
        protocol = load_protocol(protocol) if isinstance(protocol, str) else protocol
        volume_geometry(volume_node, protocol)
        scene = volume_node.GetScene()
        name = volume_node.GetName()
        parameter_node = make_session_node(volume_node, protocol)
        landmarks = LandmarkNode.create(scene, protocol, f"{name} landmarks")
        adopt_landmarks(parameter_node, landmarks.node)
        make_folder(volume_node, f"{name} {protocol.name}", landmarks.node, parameter_node)
        # States saved before this node existed would, undone, delete it.
        scene.SetUndoOn()
        scene.ClearUndoStack()
        scene.ClearRedoStack()
        session = cls(parameter_node)
        session._image = image
        return session

    @classmethod
    def restore(cls, parameter_node) -> "MeasurementSession":
        """Bring a session back to life, for example from a loaded scene.

        Raises:
            SceneError: it is no session, its image or landmarks are missing, or its protocol is not known.
        """
        if not is_session_node(parameter_node) or parameter_node.GetScene() is None:
            raise SceneError(f"{parameter_node.GetName()}: this node does not describe a measurement in a scene.")
        parameter_node.GetScene().SetUndoOn()
        return cls(parameter_node)

    @staticmethod
    def find(scene, volume_node, protocol_id: str):
        """Parameter node of the session that measures ``volume_node`` by that protocol, or None."""
        for node in session_nodes(scene):
            if node.GetNodeReference(VOLUME) is volume_node and node.GetParameter("protocol") == protocol_id:
                return node
        return None

    def close(self) -> None:
        """Stop following the landmarks. All nodes stay; the landmarks are locked, since no angle would follow them."""
        if not self.closed:
            self.markups_node.SetLocked(True)
            self._end()

    def remove(self) -> None:
        """End the session and delete its nodes: landmarks, table, drawing and parameters. The volume stays."""
        if not self.closed:
            self._end()
        folder = folder_of(self.markups_node) if self.markups_node.GetScene() is not None else 0
        self._remove_drawing()
        for node in (self.markups_node, self.parameter_node):
            if node.GetScene() is not None:
                remove_with_display(node)
        remove_if_empty(self.scene, folder)

    def _end(self) -> None:
        self.closed = True
        self._observers.remove_all()
        if self._reader_frame is not None:
            self._reader_frame.end()
        self._update_callbacks.clear()
        callbacks, self._close_callbacks = self._close_callbacks, []
        for callback in callbacks:
            callback(self)

    # Landmarks

    @property
    def points(self) -> np.ndarray:
        """(n, 3) LPS mm as they stand, NaN where unset; a copy."""
        return self._points.copy()

    @property
    def prediction(self) -> Prediction | None:
        """The network's proposal, or None."""
        return self._record.prediction

    @property
    def predicted_points(self) -> np.ndarray:
        """(n, 3) LPS mm as proposed, NaN where nothing was."""
        return self._record.predicted.copy()

    @property
    def confidence(self) -> np.ndarray:
        """(n,) 0..1 of the proposal, NaN where unknown."""
        return self._record.confidence.copy()

    @property
    def model(self) -> ModelInfo | None:
        """Which model proposed the landmarks, or None."""
        return None if self._record.prediction is None else self._record.prediction.model

    def set_prediction(self, prediction: Prediction) -> None:
        """Take a proposal: every landmark moves there, and the review starts anew. One undo takes all of it back.

        Raises:
            SceneError: it was made for other landmarks.
        """
        if prediction.landmark_ids != self.protocol.landmark_ids:
            raise SceneError(
                f"{self.volume_node.GetName()}: the prediction is for protocol '{prediction.protocol}', "
                f"not '{self.protocol.id}'; run the model of this protocol."
            )
        self._open()
        self.scene.SaveStateForUndo()
        self._record.set_prediction(prediction)
        self._landmarks.write(prediction.points)
        self._update()

    def set_points(self, points: np.ndarray) -> None:
        """Move all landmarks (n, 3) LPS mm, NaN to unset; one event and one undo."""
        points = np.asarray(points, dtype=np.float64)
        if points.shape != self._points.shape:
            raise ValueError(f"points have shape {points.shape}, expected {self._points.shape}")
        self._open()
        self.scene.SaveStateForUndo()
        self._landmarks.write(points)

    def set_point(self, landmark_id: str, lps) -> None:
        """Place or move one landmark, (3,) LPS mm; KeyError for an unknown one."""
        self._change(landmark_id, np.asarray(lps, dtype=np.float64))

    def unset_point(self, landmark_id: str) -> None:
        """Take one landmark off the image, to be placed again; KeyError for an unknown one."""
        self._change(landmark_id, np.full(3, np.nan))

    def reset_point(self, landmark_id: str) -> None:
        """Move one landmark back to where the network put it; unset where it had proposed nothing."""
        self._change(landmark_id, self._record.predicted[self.protocol.index(landmark_id)])

    def _change(self, landmark_id: str, lps: np.ndarray) -> None:
        index = self.protocol.index(landmark_id)
        self._open()
        self.scene.SaveStateForUndo()
        self._landmarks.set(index, lps)

    def undo(self) -> None:
        """Take the last change of landmarks back, with everything measured from them."""
        self.scene.Undo()

    def redo(self) -> None:
        """Bring back what was undone."""
        self.scene.Redo()

    def start_placing(self, landmark_id: str) -> None:
        """Let the next click in a view place this landmark; it is unset until then."""
        index = self.protocol.index(landmark_id)
        if not np.isnan(self._points[index]).any():
            self.unset_point(landmark_id)
        placing.start_placing(self.markups_node, index)

    def stop_placing(self) -> None:
        """Give the mouse back to the views."""
        placing.stop_placing(self.scene)

    def jump_to(self, landmark_id: str) -> None:
        """Centre the slice views on a landmark, or on its proposal while it is unset, and highlight it."""
        index = self.protocol.index(landmark_id)
        for place in (self._points[index], self._record.predicted[index]):
            if not np.isnan(place).any():
                placing.jump_to(self.markups_node, index, place)
                return

    # Review

    @property
    def review_state(self) -> str:
        """``new`` (nothing placed), ``predicted`` (as proposed), ``corrected``, or ``confirmed`` by a reader."""
        return self._record.state(self._points)

    @property
    def review(self) -> Review:
        """Who confirmed what and when, as stored."""
        return self._record.review

    @property
    def reader(self) -> str:
        """Who confirmed; empty before."""
        return self._record.review.reader

    @property
    def confirmed_landmarks(self) -> frozenset[str]:
        """Landmarks still where a reader confirmed them."""
        return self._named(self._record.confirmed(self._points))

    @property
    def corrected_landmarks(self) -> frozenset[str]:
        """Landmarks that do not lie where the network put them."""
        return self._named(self._corrected)

    def confirm(self, reader: str) -> None:
        """The reader vouches for every landmark as it stands, unset ones as not visible. A later move takes it back."""
        self._open()
        self._record.confirm_all(self._points, reader)
        self._mark()
        self._tell()

    def confirm_landmark(self, landmark_id: str) -> None:
        """The reader has looked at this landmark and leaves it where it is."""
        self._open()
        self._record.confirm(self._points, (landmark_id,))
        self._mark()
        self._tell()

    def _named(self, flags: np.ndarray) -> frozenset[str]:
        return frozenset(self.protocol.landmark_ids[i] for i in np.flatnonzero(flags))

    # Result

    @property
    def image(self) -> Image:
        """The measured image; pixels are copied from the volume on first use."""
        if self._image is None:
            self._image = image_from_volume(self.volume_node, self.protocol)
        return self._image

    @property
    def table_node(self):
        """One row per measurement."""
        return self._picture.table.get()

    @property
    def line_nodes(self) -> tuple:
        """Lines on the image: of the drawn measurements, and the midline."""
        return self._picture.line_nodes

    @property
    def arc_nodes(self) -> tuple:
        """Arcs on the image, one per drawn measurement."""
        return self._picture.arc_nodes

    @property
    def label_nodes(self) -> tuple:
        """The numbers beside the arcs."""
        return self._picture.label_nodes

    @property
    def settings(self) -> DrawingSettings:
        """What is drawn; assign to change it."""
        return self._settings

    @settings.setter
    def settings(self, settings: DrawingSettings) -> None:
        self._open()
        self._settings = settings
        settings.write(self.parameter_node)
        self._show()

    def choose_measurement(self, measurement_id: str) -> None:
        """Of a volume, draw one measurement with the plane it was taken in; empty for none. ValueError: not known."""
        if measurement_id and measurement_id not in {each.id for each in self.protocol.measurements}:
            raise ValueError(f"protocol '{self.protocol.id}' has no measurement '{measurement_id}'")
        if measurement_id != self._settings.chosen:
            self.settings = replace(self._settings, chosen=measurement_id)

    def jump_to_measurement(self, measurement_id: str) -> None:
        """Centre the slice views on a drawn angle; KeyError for an unknown one, nothing where it is not drawn."""
        place = self._picture.angles[measurement_id].place
        if place is not None:
            placing.centre_on(self.scene, place)

    @property
    def frame_settings(self) -> FrameSettings | None:
        """On what ground and axis a volume is measured; assign to change it. None on a radiograph, which has no frame.

        Assigning a ground ``plane`` or an axis ``line`` lays such a node along the frame as it was, for the reader to
        turn. SceneError on a radiograph.
        """
        return None if self._reader_frame is None else self._reader_frame.settings

    @frame_settings.setter
    def frame_settings(self, settings: FrameSettings) -> None:
        self._open()
        if self._reader_frame is None:
            raise SceneError(f"{self.protocol.name}: a radiograph is measured in its own plane and has no frame.")
        middle = (np.array(self._geometry.size) - 1) / 2
        self._reader_frame.choose(settings, self._points, self._geometry.physical_points(middle[None])[0])
        self._recompute()

    @property
    def frame_nodes(self) -> tuple:
        """The reader's ground plane and axis line as far as there are any."""
        nodes = () if self._reader_frame is None else (self._reader_frame.ground.node, self._reader_frame.axis.node)
        return tuple(node for node in nodes if node is not None)

    @property
    def frame_notes(self) -> tuple[str, ...]:
        """Why the frame is not the one that was chosen, one sentence each; empty where it is."""
        return () if self._reader_frame is None else self._reader_frame.state(self._points).notes

    def add_update_callback(self, callback: Callable) -> Callable[[], None]:
        """Call ``callback(session)`` after every change; returns the function that ends this."""
        return _added(self._update_callbacks, callback)

    def add_close_callback(self, callback: Callable) -> Callable[[], None]:
        """Call ``callback(session)`` once when the session ends, for whatever reason."""
        return _added(self._close_callbacks, callback)

    # Following the scene

    def _observe(self) -> None:
        add = self._observers.add
        add(self.markups_node, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self._on_points_modified)
        add(self.volume_node, vtk.vtkCommand.ModifiedEvent, self._on_volume_modified)
        add(self.scene, slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_close)
        add(self.scene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._on_node_removed)

    def _on_points_modified(self, _node, _event) -> None:
        self._update()

    def _on_frame_moved(self) -> None:
        self._recompute()

    def _remove_drawing(self) -> None:
        self._picture.remove()
        if self._reader_frame is not None:
            self._reader_frame.remove()

    def _on_volume_modified(self, _node, _event) -> None:
        try:
            self._read_volume()
        except ImageError:
            # Emptied, or put under a transform: what is shown is no longer what was measured.
            self.close()
        else:
            self._recompute()

    def _on_scene_close(self, _scene, _event) -> None:
        self._end()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_removed(self, _scene, _event, node) -> None:
        if node is self.markups_node or node is self.parameter_node:
            self._end()
            self._remove_drawing()
        elif node is self.volume_node:
            self.close()
        elif self._reader_frame is not None and self._reader_frame.forget(node):
            self._recompute()
        else:
            self._picture.forget(node)

    def _open(self) -> None:
        if self.closed:
            raise SceneError(f"{self.protocol.name}: this measurement is closed; restore it from its parameter node.")

    def _read_volume(self) -> None:
        self._geometry = volume_geometry(self.volume_node, self.protocol)
        self._left = -self._geometry.direction[:, 0]
        facts = volume_facts(self.volume_node)
        self._age = facts["patient_age"]
        self._side = facts["laterality"] if facts["laterality"] in ("L", "R") else None
        self._image: Image | None = None

    def _update(self) -> None:
        """Follow the landmark node: nothing happens where neither places nor record changed."""
        points = self._landmarks.read()
        record_changed = self._record.refresh()
        if not record_changed and points.tobytes() == self._points.tobytes():
            return
        self._points = points
        self._record.take_back(points)
        self._recompute()

    def _mark(self) -> None:
        """Colour landmarks that a reader has dealt with, where that changed."""
        seen = self._corrected | self._record.confirmed(self._points)
        if seen.tobytes() != self._marked:
            self._marked = seen.tobytes()
            self._landmarks.mark(seen)

    def _recompute(self) -> None:
        self._corrected = self._record.corrected(self._points)
        self.result = self._measure()
        self._mark()
        self._show()
        self._tell()

    def _measure(self) -> MeasurementResult:
        # A landmark that a reader moved has no longer the spread that the network gave to its own.
        spread = None
        if self._record.prediction is not None:
            spread = np.where(self._corrected, np.nan, self._record.spread)
        frame = None if self._reader_frame is None else self._reader_frame.state(self._points).frame
        facts = {"image": self._geometry, "age": self._age, "laterality": self._side}
        return measure(self.protocol, self._points, spread=spread, frame=frame, **facts)

    def _show(self) -> None:
        self._picture.update(self._points, self.result, self._settings, self._left)

    def _tell(self) -> None:
        for callback in tuple(self._update_callbacks):
            callback(self)


def _added(callbacks: list, callback: Callable) -> Callable[[], None]:
    callbacks.append(callback)

    def remove() -> None:
        if callback in callbacks:
            callbacks.remove(callback)

    return remove
