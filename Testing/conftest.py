"""Fixtures that all groups share, each named as what it is. Slicer is imported by those that need it."""

import pytest


@pytest.fixture
def vtk_errors():
    """Texts of errors and warnings that VTK and MRML report during a test; asserting on it is up to the test."""
    from support.errors import collected_errors

    with collected_errors() as errors:
        yield errors


@pytest.fixture
def a_host(vtk_errors):
    """A head-less Slicer scene with its logics. Any VTK error or exception in an observer fails the test."""
    from support.errors import exceptions_in_observers

    from orthoangles.scene.hosting import start_host

    with exceptions_in_observers() as exceptions:
        host = start_host()
        yield host
        host.scene.Clear(True)
    assert not exceptions, exceptions
    assert not vtk_errors, vtk_errors


@pytest.fixture
def a_scene(a_host):
    """The MRML scene of ``a_host``."""
    return a_host.scene


@pytest.fixture
def a_spine_volume(a_scene):
    """Volume node of a synthetic spine radiograph."""
    from support.spines import spine_image

    from orthoangles.scene import add_volume

    return add_volume(a_scene, spine_image())


@pytest.fixture
def an_empty_session(a_spine_volume):
    """A measurement session in which nothing is placed yet."""
    from support.spines import PROTOCOL

    from orthoangles.scene import MeasurementSession

    session = MeasurementSession.create(a_spine_volume, PROTOCOL)
    yield session
    session.close()


@pytest.fixture
def a_spine_session(an_empty_session):
    """A measurement session with all 68 landmarks proposed."""
    from support.spines import spine_prediction

    an_empty_session.set_prediction(spine_prediction())
    return an_empty_session


@pytest.fixture
def a_slice_view(a_host, a_spine_volume):
    """A rendered slice view that shows the radiograph."""
    from support.views import SliceView

    view = SliceView(a_host)
    view.show(a_spine_volume)
    view.render()
    yield view
    view.close()
