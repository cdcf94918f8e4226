"""A standing foot in a volume, each fixture named as what it is."""

import pytest


@pytest.fixture
def a_foot_volume(a_scene):
    """Volume node of a scan around the hand-built standing foot."""
    from support.standing_volume import standing_volume

    from orthoangles.scene import add_volume

    return add_volume(a_scene, standing_volume())


@pytest.fixture
def a_foot_session(a_foot_volume):
    """A session with all 22 landmarks of a right foot proposed."""
    from support.standing_volume import PROTOCOL, standing_prediction

    from orthoangles.scene import MeasurementSession

    session = MeasurementSession.create(a_foot_volume, PROTOCOL)
    session.set_prediction(standing_prediction())
    yield session
    session.close()


@pytest.fixture
def a_four_up(a_host, a_foot_volume):
    """Three slice views of the volume and a 3D view."""
    from support.view_3d import FourUp

    views = FourUp(a_host, (320, 300))
    views.show(a_foot_volume)
    yield views
    views.close()
