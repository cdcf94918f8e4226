"""Sessions through .mrb files."""

from pathlib import Path

import numpy as np
import pytest
from support.spines import A_MODEL, PROTOCOL

from orthoangles.scene import DrawingSettings, MeasurementSession, SceneError, load_scene, save_scene, session_nodes
from orthoangles.scene.hosting import start_host

pytestmark = pytest.mark.scene


def test_a_saved_session_comes_back_live(a_spine_session, tmp_path):
    session = a_spine_session
    session.set_point("T5-TL", session.points[16] + [0.0, 2.0, 0.0])
    session.settings = DrawingSettings(("cobb-clinical-mt",), levels=False)
    session.confirm("reader 1")
    path = save_scene(session.scene, tmp_path / "case.mrb")

    host = load_scene(path)
    scene = host.scene
    (parameter_node,) = session_nodes(scene)
    restored = MeasurementSession.restore(parameter_node)
    np.testing.assert_allclose(restored.points, session.points, atol=1e-6)
    np.testing.assert_allclose(restored.confidence, session.confidence)
    assert restored.model == A_MODEL
    assert restored.review_state == "confirmed"
    assert restored.reader == "reader 1"
    assert restored.corrected_landmarks == {"T5-TL"}
    assert restored.settings == session.settings
    assert restored.image.has_spacing
    for one, other in zip(restored.result.measurements, session.result.measurements, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-5)

    # And it is alive: a move is measured, and undone.
    before = restored.result.by_id("cobb-clinical-mt").value
    corner = restored.protocol.index(restored.result.by_id("cobb-clinical-mt").details["upper_end_vertebra"] + "-TL")
    x, y, z = restored.markups_node.GetNthControlPointPosition(corner)
    scene.SaveStateForUndo()
    restored.markups_node.SetNthControlPointPosition(corner, x, y + 3.0, z)
    value = restored.result.by_id("cobb-clinical-mt").value
    assert abs(value - before) > 1
    (label,) = [node for node in restored.label_nodes if node.GetName().startswith("MT")]
    assert label.GetNthControlPointLabel(0).startswith(f"MT {value:.1f}°")
    assert restored.table_node.GetTable().GetValueByName(7, "Value").ToString() == f"{value:.1f}"
    assert restored.review_state == "corrected"
    restored.undo()
    assert restored.result.by_id("cobb-clinical-mt").value == pytest.approx(before)
    restored.close()


def test_a_restored_session_uses_the_nodes_of_the_file(a_spine_session, tmp_path):
    def ids(scene):
        return sorted(scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes()))

    path = save_scene(a_spine_session.scene, tmp_path / "case.mrb")
    host = load_scene(path)
    scene = host.scene
    before = ids(scene)
    restored = MeasurementSession.restore(session_nodes(scene)[0])
    restored.set_point("T3-TL", restored.points[8] + [0.0, -2.0, 0.0])
    assert ids(scene) == before
    restored.close()


def test_unset_landmarks_survive(a_spine_session, tmp_path):
    a_spine_session.unset_point("L1-BR")
    path = save_scene(a_spine_session.scene, tmp_path / "case.mrb")
    host = load_scene(path)
    restored = MeasurementSession.restore(session_nodes(host.scene)[0])
    assert np.isnan(restored.points[restored.protocol.index("L1-BR")]).all()
    assert restored.markups_node.GetNumberOfControlPoints() == 68
    restored.set_point("L1-BR", a_spine_session.predicted_points[restored.protocol.index("L1-BR")])
    assert restored.result.by_id("cobb-aasce-max").value is not None
    restored.close()


def test_landmarks_moved_while_no_session_watched_are_not_confirmed(a_spine_session):
    a_spine_session.confirm("reader 1")
    a_spine_session.close()
    a_spine_session.markups_node.SetNthControlPointPosition(0, 0.0, 0.0, 0.0)
    restored = MeasurementSession.restore(a_spine_session.parameter_node)
    assert restored.review_state == "corrected"
    assert "T1-TL" not in restored.confirmed_landmarks
    restored.close()


def test_a_failed_save_keeps_the_older_file(a_spine_session, tmp_path, monkeypatch):
    path = save_scene(a_spine_session.scene, tmp_path / "case.mrb")
    content = path.read_bytes()
    monkeypatch.setattr("orthoangles.atomic._flush", _disk_full)
    with pytest.raises(SceneError, match=r"case\.mrb.*No space left"):
        save_scene(a_spine_session.scene, path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["case.mrb"]


def _disk_full(_path):
    raise OSError(28, "No space left on device")


def test_saving_does_not_change_where_the_scene_lives(a_spine_session, tmp_path):
    scene = a_spine_session.scene
    url = scene.GetURL()
    save_scene(scene, tmp_path / "case.mrb")
    assert scene.GetURL() == url


@pytest.mark.parametrize(("name", "reason"), [("case.nrrd", "saved as .mrb"), ("no/case.mrb", "does not exist")])
def test_a_path_that_cannot_be_saved_to_is_named(a_scene, tmp_path, name, reason):
    with pytest.raises(SceneError, match=reason):
        save_scene(a_scene, tmp_path / name)


def test_a_file_that_is_no_scene_is_refused_by_name(tmp_path, vtk_errors):
    path = tmp_path / "broken.mrb"
    path.write_bytes(b"not a zip archive")
    with pytest.raises(SceneError, match=r"broken\.mrb"):
        load_scene(path)
    with pytest.raises(SceneError, match=r"gone\.mrb.*no such file"):
        load_scene(tmp_path / "gone.mrb")


def test_a_broken_archive_leaves_the_working_folder_alone(tmp_path, vtk_errors):
    folder = Path.cwd()
    (tmp_path / "broken.mrb").write_bytes(b"not a zip archive")
    with pytest.raises(SceneError):
        load_scene(tmp_path / "broken.mrb")
    assert Path.cwd() == folder


def test_what_is_no_session_is_not_restored(a_scene):
    node = a_scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "CobbModule")
    with pytest.raises(SceneError, match="CobbModule"):
        MeasurementSession.restore(node)


def test_a_session_of_a_protocol_that_is_gone_says_so(a_spine_session):
    a_spine_session.close()
    a_spine_session.parameter_node.SetParameter("protocol", "spine-of-tomorrow")
    with pytest.raises(SceneError, match="spine-of-tomorrow"):
        MeasurementSession.restore(a_spine_session.parameter_node)


def test_landmarks_that_are_not_the_protocols_are_refused(a_spine_session):
    a_spine_session.close()
    a_spine_session.markups_node.SetNthControlPointLabel(3, "nose")
    with pytest.raises(SceneError, match=PROTOCOL):
        MeasurementSession.restore(a_spine_session.parameter_node)


def test_hosts_are_independent():
    one, other = start_host(), start_host()
    one.scene.AddNewNodeByClass("vtkMRMLTableNode", "only here")
    assert other.scene.GetFirstNodeByName("only here") is None
