"""Draw where every foot landmark lies on its bone: docs/atlas/*.png, from the procedural foot.

    python tools/render_landmark_atlas.py                                        # what is committed
    python tools/render_landmark_atlas.py --bones DIR --subject ID --output DIR  # real bones, to judge the rules

The landmarks' bone is drawn solid and its neighbours as glass, from the side from which the landmark is read. The
committed pictures show code-built bones only: most scanned bones may not be passed on.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneLibrary, BoneSet
from orthoangles.simulation.anatomy.landmarks import foot_landmarks

PANEL = (620, 560)
IVORY, GLASS, INK, DOT = (0.93, 0.89, 0.80), (0.55, 0.65, 0.78), (0.12, 0.14, 0.18), (0.84, 0.16, 0.12)

VIEWS = {
    "dorsal": ((0, 0, 1), (0, 1, 0)),
    "plantar": ((0, 0, -1), (0, 1, 0)),
    "lateral": ((1, 0, 0), (0, 0, 1)),
    "medial": ((-1, 0, 0), (0, 0, 1)),
    "anterior": ((0, 1, 0), (0, 0, 1)),
    "posterior": ((0, -1, 0), (0, 0, 1)),
}
"""Where the viewer stands and what is up in the picture: x lateral, y anterior, z dorsal."""


@dataclass(frozen=True)
class Panel:
    """One picture: ``bones`` solid, ``around`` as glass, ``points`` with labels, ``lines`` between two points."""

    title: str
    view: str
    bones: Sequence[str]
    around: Sequence[str]
    points: Sequence[str]
    lines: Sequence[tuple[str, str]] = ()


def _ids(prefix: str, first: int, last: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(first, last + 1)]


RAYS = [f"metatarsal_{ray}" for ray in range(1, 6)]
HANDLES = [f"{shaft}-{number}" for shaft in ("PP1", "MT1", "MT2") for number in range(1, 6)]
MIDFOOT = ["navicular", "cuboid", "medial_cuneiform", "intermediate_cuneiform", "lateral_cuneiform"]
CALCANEAL = _ids("C", 1, 6)

PAGES = {
    "atlas-ap": [
        Panel(
            "Hallux, dorsal", "dorsal", ["proximal_phalanx_1"], ["metatarsal_1", "distal_phalanx_1"], _ids("A", 1, 4)
        ),
        Panel(
            "First metatarsal, dorsal",
            "dorsal",
            ["metatarsal_1"],
            ["medial_cuneiform", "proximal_phalanx_1", "metatarsal_2"],
            _ids("A", 5, 8),
        ),
        Panel(
            "Talar head and neck, dorsal", "dorsal", ["talus"], ["navicular", "calcaneus"], ["A9", "A10", "A13", "A14"]
        ),
        Panel("Navicular, dorsal", "dorsal", ["navicular"], ["talus"], ["A11", "A12"]),
        Panel("Calcaneus, dorsal", "dorsal", ["calcaneus"], ["talus", "cuboid"], ["A15", "A16"]),
        Panel("Calcaneus, plantar", "plantar", ["calcaneus"], ["cuboid"], ["A15", "A16"]),
    ],
    "atlas-lateral": [
        Panel(
            "First metatarsal, medial",
            "medial",
            ["metatarsal_1"],
            ["medial_cuneiform", "proximal_phalanx_1", "sesamoid_medial", "sesamoid_lateral"],
            _ids("L", 1, 4),
        ),
        Panel("Talus, lateral", "lateral", ["talus"], ["navicular", "calcaneus"], ["L5", "L6", "L8", "L9"]),
        Panel("Talus, medial", "medial", ["talus"], ["navicular", "calcaneus"], ["L5", "L6", "L8", "L9"]),
        Panel("Calcaneus, lateral", "lateral", ["calcaneus"], ["talus", "cuboid"], ["L10", "L11"]),
        Panel("Calcaneus, plantar", "plantar", ["calcaneus"], ["cuboid"], ["L10", "L11"]),
        Panel(
            "Fifth metatarsal, lateral",
            "lateral",
            ["metatarsal_5"],
            ["cuboid", "proximal_phalanx_5", "metatarsal_4"],
            ["L7"],
        ),
    ],
    "atlas-wbct-hindfoot": [
        Panel("Tibia, anterior", "anterior", ["tibia"], ["talus", "fibula"], ["T1", "T2"]),
        Panel("Talus, dorsal", "dorsal", ["talus"], ["navicular"], _ids("TA", 1, 5)),
        Panel("Talus, medial", "medial", ["talus"], ["navicular"], _ids("TA", 1, 5)),
        Panel("Talus, anterior", "anterior", ["talus"], [], _ids("TA", 3, 5)),
        Panel("Navicular, dorsal", "dorsal", ["navicular"], ["talus"], ["N1", "N2"]),
        Panel("Navicular, posterior", "posterior", ["navicular"], [], ["N1", "N2"]),
        Panel("Calcaneus, lateral", "lateral", ["calcaneus"], ["talus", "cuboid"], CALCANEAL),
        Panel("Calcaneus, dorsal", "dorsal", ["calcaneus"], ["cuboid"], CALCANEAL),
        Panel("Calcaneus, posterior", "posterior", ["calcaneus"], [], CALCANEAL),
    ],
    "atlas-wbct-forefoot": [
        Panel("Metatarsals, dorsal", "dorsal", RAYS, MIDFOOT, ["M1a", "M1b", "M2a", "M2b", "M5"]),
        Panel(
            "First metatarsal, medial",
            "medial",
            ["metatarsal_1"],
            ["medial_cuneiform", "proximal_phalanx_1"],
            ["M1a", "M1b"],
        ),
        Panel("Second metatarsal, lateral", "lateral", ["metatarsal_2"], ["intermediate_cuneiform"], ["M2a", "M2b"]),
        Panel("Hallux, dorsal", "dorsal", ["proximal_phalanx_1"], ["metatarsal_1", "distal_phalanx_1"], ["P1", "P2"]),
        Panel("Hallux, medial", "medial", ["proximal_phalanx_1"], ["metatarsal_1", "distal_phalanx_1"], ["P1", "P2"]),
        Panel("Fifth metatarsal, plantar", "plantar", ["metatarsal_5"], ["metatarsal_4", "cuboid"], ["M5"]),
    ],
    "atlas-axes": [
        Panel(
            "Shaft handles, dorsal",
            "dorsal",
            ["metatarsal_1", "metatarsal_2", "proximal_phalanx_1"],
            [*MIDFOOT, *RAYS],
            HANDLES,
            [("MT1-1", "MT1-5"), ("MT2-1", "MT2-5"), ("PP1-1", "PP1-5")],
        ),
        Panel(
            "Shaft handles, medial",
            "medial",
            ["metatarsal_1", "metatarsal_2", "proximal_phalanx_1"],
            MIDFOOT,
            HANDLES,
            [("MT1-1", "MT1-5"), ("MT2-1", "MT2-5"), ("PP1-1", "PP1-5")],
        ),
    ],
}


def draw_page(bones: BoneSet, panels: Sequence[Panel], path: Path, columns: int = 3) -> None:
    """Write the ``panels`` that ``bones`` allows as one PNG."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    points = {name: point.position for name, point in foot_landmarks(bones).items()}
    panels = [replace(panel, bones=[name for name in panel.bones if name in bones]) for panel in panels]
    panels = [panel for panel in panels if panel.bones and any(name in points for name in panel.points)]
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    window.SetNumberOfLayers(2)
    window.SetSize(columns * PANEL[0], rows * PANEL[1])
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        port = (column / columns, 1 - (row + 1) / rows, (column + 1) / columns, 1 - row / rows)
        _draw_panel(window, port, bones, points, panel)
    for number in range(len(panels), rows * columns):
        row, column = divmod(number, columns)
        empty = vtk.vtkRenderer()
        empty.SetBackground(1, 1, 1)
        empty.SetViewport(column / columns, 1 - (row + 1) / rows, (column + 1) / columns, 1 - row / rows)
        window.AddRenderer(empty)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    _save(pixels, path)


def _save(pixels: np.ndarray, path: Path) -> None:
    """As a palette PNG: a third of the size."""
    from PIL import Image

    Image.fromarray(np.ascontiguousarray(pixels)).quantize(200, method=Image.Quantize.FASTOCTREE).save(
        path, optimize=True
    )


def _draw_panel(window, port, bones: BoneSet, points, panel: Panel) -> None:
    import vtk

    scene, marks = vtk.vtkRenderer(), vtk.vtkRenderer()
    for layer, renderer in enumerate((scene, marks)):
        renderer.SetViewport(*port)
        renderer.SetLayer(layer)
        window.AddRenderer(renderer)
    scene.SetBackground(1, 1, 1)
    scene.SetUseDepthPeeling(1)
    scene.SetMaximumNumberOfPeels(8)
    scene.UseFXAAOn()
    for name in panel.around:
        if name in bones and name not in panel.bones:
            scene.AddViewProp(_bone_actor(bones[name], GLASS, 0.22))
    for name in panel.bones:
        scene.AddViewProp(_bone_actor(bones[name], IVORY, 1.0))
    camera = scene.GetActiveCamera()
    eye, up = (np.asarray(vector, dtype=float) for vector in VIEWS[panel.view])
    shown = np.concatenate([_shown(bones, name, panel, points) for name in panel.bones])
    right = np.cross(up, eye)
    low, high = (np.array([f(shown @ axis) for axis in (right, up, eye)]) for f in (np.min, np.max))
    centre = (low + high) / 2 @ np.array([right, up, eye])
    half = max((high - low)[1], (high - low)[0] * PANEL[1] / PANEL[0]) / 2 * 1.25
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + 400 * eye))
    camera.SetViewUp(*up)
    camera.SetParallelScale(half)
    camera.SetClippingRange(1, 1000)
    marks.SetActiveCamera(camera)
    present = [name for name in panel.points if name in points]
    for name in present:
        marks.AddViewProp(_ball(points[name], half * 0.02))
    for start, end in panel.lines:
        if start in points and end in points:
            marks.AddViewProp(_line(points[start], points[end]))
    pixel = 2 * half / PANEL[1]
    flat = {name: np.array([(points[name] - centre) @ right, (points[name] - centre) @ up]) / pixel for name in present}
    named = {name: place for name, place in flat.items() if name not in HANDLES or name[-1] in "15"}
    for name, place in _label_places(named).items():
        marks.AddViewProp(_text(name, place + np.array(PANEL) / 2, 17))
        marks.AddViewProp(
            _line(points[name], points[name] + (place - flat[name]) @ np.array([right, up]) * pixel * 0.8, 1, INK)
        )
    marks.AddViewProp(_text(panel.title, np.array([PANEL[0] / 2, PANEL[1] - 20]), 20))


def _shown(bones: BoneSet, name: str, panel: Panel, points) -> np.ndarray:
    """The vertices the picture is framed on: of a long tibia only the part with its landmarks."""
    vertices = bones[name].vertices
    if name != "tibia":
        return vertices
    own = np.array([points[p] for p in panel.points if p in points])
    near = np.min(np.linalg.norm(vertices[:, None] - own[None], axis=2), axis=1) < 35
    return vertices[near]


def _label_places(flat: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels pushed away from the middle of the points and then from each other, in pixels."""
    names = list(flat)
    spots = np.array([flat[name] for name in names])
    away = spots - spots.mean(axis=0)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    fallback = np.column_stack([np.cos(angle), np.sin(angle)])
    places = spots + 42 * np.where(length > 3, away / np.maximum(length, 1e-9), fallback)
    for _ in range(60):
        for i in range(len(names)):
            for other, own in ((places, False), (spots, True)):
                for j in range(len(names)):
                    gap = places[i] - other[j]
                    limit = np.array([46.0, 24.0]) if not own else np.array([34.0, 22.0])
                    if (own or i != j) and (np.abs(gap) < limit).all():
                        push = gap if np.abs(gap).sum() > 1e-6 else np.array([1.0, 0.5])
                        places[i] += 3 * push / np.linalg.norm(push)
        places = np.clip(places, -(np.array(PANEL) / 2 - [34, 16]), np.array(PANEL) / 2 - [34, 48])
    return dict(zip(names, places, strict=True))


def _bone_actor(bone, colour, opacity):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(bone.vertices, deep=True))
    cells = vtk.vtkCellArray()
    offsets = np.arange(0, 3 * len(bone.faces) + 1, 3, dtype=np.int64)
    corners = bone.faces.ravel().astype(np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(corners, deep=True))
    mesh = vtk.vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(mesh)
    normals.SplittingOff()
    actor = _actor(normals.GetOutputPort())
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetOpacity(opacity)
    actor.GetProperty().SetAmbient(0.15)
    actor.GetProperty().SetDiffuse(0.85)
    return actor


def _ball(point, radius):
    import vtk

    source = vtk.vtkSphereSource()
    source.SetCenter(*point)
    source.SetRadius(radius)
    source.SetThetaResolution(16)
    source.SetPhiResolution(16)
    actor = _actor(source.GetOutputPort())
    actor.GetProperty().SetColor(*DOT)
    actor.GetProperty().LightingOff()
    return actor


def _line(start, end, width=2.0, colour=DOT):
    import vtk

    source = vtk.vtkLineSource()
    source.SetPoint1(*start)
    source.SetPoint2(*end)
    actor = _actor(source.GetOutputPort())
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetLineWidth(width)
    actor.GetProperty().LightingOff()
    return actor


def _actor(port):
    import vtk

    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(port)
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    return actor


def _text(words, place, size):
    import vtk

    actor = vtk.vtkTextActor()
    actor.SetInput(words)
    actor.SetPosition(*place)
    look = actor.GetTextProperty()
    look.SetFontSize(size)
    look.SetColor(*INK)
    look.SetJustificationToCentered()
    look.SetVerticalJustificationToCentered()
    look.SetBackgroundColor(1, 1, 1)
    look.SetBackgroundOpacity(0.65)
    return actor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bones", type=Path, help="folder of named bone meshes; without it the procedural foot")
    parser.add_argument("--subject", help="id in that folder")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "atlas")
    parser.add_argument("--page", choices=PAGES, action="append", help="only this page")
    arguments = parser.parse_args()
    if arguments.bones:
        bones = BoneLibrary(arguments.bones).subject(arguments.subject)
    else:
        from orthoangles.simulation.anatomy.procedural_bones import procedural_foot

        bones = procedural_foot()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for page in arguments.page or PAGES:
        path = arguments.output / f"{page}.png"
        draw_page(bones, PAGES[page], path)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
