"""What a reader made of an image in the scene, as it stands in the dataset: any edit takes the confirmation back."""

import numpy as np
import pytest
from support.spines import spine_prediction

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exporting import export_session

pytestmark = pytest.mark.scene


def drag(session):
    node = session.markups_node
    place = np.add(node.GetNthControlPointPosition(3), (1.0, 0, 0))
    node.SetNthControlPointPosition(3, *place)


EDITS = {
    "dragged": drag,
    "moved by a script": lambda session: session.set_point("T4-TL", np.add(session.points[12], (0.5, 0, 0))),
    "unset": lambda session: session.unset_point("T4-TL"),
    "all moved": lambda session: session.set_points(np.add(session.points, (2.0, 0, 0))),
    "reset to the proposal": lambda session: session.reset_point("T1-TL"),
    "undone": lambda session: session.undo(),
    "predicted again": lambda session: session.set_prediction(spine_prediction()),
}


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_takes_the_confirmation_back_in_the_dataset_too(tmp_path, a_spine_session, edit):
    session = a_spine_session
    session.set_point("T1-TL", session.points[0] + (1.0, 0, 0))
    session.confirm("r")
    case_id = export_session(tmp_path, session, seconds=30.0)
    review = Dataset(tmp_path).case(case_id).provenance["review"]
    assert (review["state"], review["reader"], review["seconds"]) == ("confirmed", "r", 30.0)
    EDITS[edit](session)
    again = export_session(tmp_path, session, reader="r")
    review = Dataset(tmp_path).case(again).provenance["review"]
    assert review["state"] in ("corrected", "predicted")
    assert review["finished"] is None
    session.confirm("r")
    assert Dataset(tmp_path).case(export_session(tmp_path, session)).provenance["review"]["state"] == "confirmed"


def test_a_rejected_image_is_exported_with_its_reason(tmp_path, a_spine_session):
    case_id = export_session(tmp_path, a_spine_session, reader="r", rejected="the pelvis is cut off")
    case = Dataset(tmp_path).case(case_id)
    assert case.rejected
    assert case.provenance["review"]["reason"] == "the pelvis is cut off"
    assert case.provenance["model"]["name"]
