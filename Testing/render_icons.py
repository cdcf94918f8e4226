"""Draws icons and the sample's thumbnail: ``python Testing/render_icons.py``."""

import math
import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QLinearGradient, QPainter, QPainterPath, QPen

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = 128
BONE, BONE_EDGE, LINE, ARC = QColor("#f3ead2"), QColor("#8d7f63"), QColor("#ff8a1f"), QColor("#ffd23f")


def canvas(height: int = SIZE) -> tuple[QImage, QPainter]:
    """A dark plate with round corners, like a radiograph on a light box."""
    image = QImage(SIZE, height, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    shade = QLinearGradient(0, 0, 0, height)
    shade.setColorAt(0, QColor("#2f4a66"))
    shade.setColorAt(1, QColor("#12202f"))
    painter.setBrush(shade)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(QRectF(2, 2, SIZE - 4, height - 4), 20, 20)
    return image, painter


def draw_bone(painter: QPainter, path: QPainterPath) -> None:
    painter.setPen(QPen(BONE_EDGE, 1.5))
    painter.setBrush(BONE)
    painter.drawPath(path)


def draw_angle(painter: QPainter, apex: QPointF, directions: tuple[float, float], length: float, radius: float) -> None:
    """Two rays from ``apex`` in these directions (degrees, counter-clockwise from the right) and the arc between."""
    painter.setPen(QPen(LINE, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for degrees in directions:
        turn = math.radians(degrees)
        painter.drawLine(apex, apex + QPointF(length * math.cos(turn), -length * math.sin(turn)))
    painter.setPen(QPen(ARC, 5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    box = QRectF(apex.x() - radius, apex.y() - radius, 2 * radius, 2 * radius)
    painter.drawArc(box, round(16 * directions[0]), round(16 * (directions[1] - directions[0])))


def draw_spine(painter: QPainter) -> None:
    """Seven vertebrae in a curve, each turned along it."""
    for k in range(7):
        t = (k - 3) / 3
        centre = QPointF(42 + 22 * (1 - t * t), 64 + 46 * t)
        painter.save()
        painter.translate(centre)
        painter.rotate(24 * t)
        path = QPainterPath()
        path.addRoundedRect(QRectF(-15, -6, 30, 12), 3, 3)
        draw_bone(painter, path)
        painter.restore()


def draw_cobb() -> QImage:
    image, painter = canvas()
    draw_spine(painter)
    painter.setPen(QPen(LINE, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    apex = QPointF(14, 64)
    draw_angle(painter, apex, (-38, 38), 0, 26)
    painter.setPen(QPen(LINE, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for sign in (-1, 1):
        painter.drawLine(apex, QPointF(108, 64 + sign * 0.74 * 72))
    painter.end()
    return image


def draw_foot() -> QImage:
    """First metatarsal and great toe from above, with the angle between them."""
    image, painter = canvas()
    joint = QPointF(52, 58)
    for start, end, width in ((QPointF(72, 114), joint, 15), (joint, QPointF(72, 18), 12)):
        draw_bone(painter, shaft(start, end, width))
    for k in range(1, 4):
        draw_bone(painter, shaft(QPointF(76 + 9 * k, 112), QPointF(66 + 15 * k, 56 + 4 * k), 7))
        draw_bone(painter, shaft(QPointF(67 + 15 * k, 50 + 4 * k), QPointF(70 + 14 * k, 28 + 7 * k), 6))
    metatarsal = math.degrees(math.atan2(114 - 58, 52 - 72))
    toe = math.degrees(math.atan2(58 - 18, 72 - 52))
    draw_angle(painter, joint, (toe, metatarsal), 50, 30)
    painter.end()
    return image


def shaft(start: QPointF, end: QPointF, width: float) -> QPainterPath:
    """A long bone: waisted, with round ends."""
    along = end - start
    length = math.hypot(along.x(), along.y())
    across = QPointF(-along.y(), along.x()) / length * width / 2
    middle = (start + end) / 2
    path = QPainterPath(start + across)
    path.quadTo(middle + across * 0.5, end + across)
    path.quadTo(end + along / length * width * 0.6, end - across)
    path.quadTo(middle - across * 0.5, start - across)
    path.quadTo(start - along / length * width * 0.6, start + across)
    return path


def draw_thumbnail(sample: Path) -> QImage:
    """The sample radiograph, small, with room at the sides."""
    image = QImage(SIZE, SIZE, QImage.Format.Format_RGB32)
    image.fill(QColor("black"))
    small = QImage(str(sample)).scaledToHeight(SIZE, Qt.TransformationMode.SmoothTransformation)
    painter = QPainter(image)
    painter.drawImage((SIZE - small.width()) // 2, 0, small)
    painter.end()
    return image


def draw_volume_thumbnail(sample: Path) -> QImage:
    """The bones of the sample volume as seen from its lateral side."""
    import numpy as np

    from orthoangles.annotation.markups_json import read_markups
    from orthoangles.images import read_image
    from orthoangles.volume_slices import anatomical_planes, bone_projections, bone_window

    image = read_image(sample)
    points = read_markups(sample.with_suffix(".truth.mrk.json")).points
    planes = anatomical_planes(np.diag([-1.0, -1.0, 1.0]))
    _, _, (picture, _) = bone_projections(image, planes, points, bone_window(image), margin=20.0, step=1.5)
    grey = np.sqrt(picture / picture.max()) * 255
    edge = max(grey.shape)
    square = np.zeros((edge, edge), np.uint8)
    top, left = ((edge - n) // 2 for n in grey.shape)
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    small = QImage(square.data, edge, edge, edge, QImage.Format.Format_Grayscale8)
    smooth = Qt.TransformationMode.SmoothTransformation
    return small.scaled(SIZE, SIZE, Qt.AspectRatioMode.KeepAspectRatio, smooth).convertToFormat(
        QImage.Format.Format_RGB32
    )


def main() -> None:
    application = QGuiApplication([])
    icons, samples = (REPOSITORY / "Resources" / folder for folder in ("Icons", "SampleData"))
    cobb = draw_cobb()
    for path, image in (
        (REPOSITORY / "CobbModule" / "Resources" / "Icons" / "CobbModule.png", cobb),
        (REPOSITORY / "FootAngleModule" / "Resources" / "Icons" / "FootAngleModule.png", draw_foot()),
        (icons / "OrthoAngles.png", cobb),
        (icons / "SpineAP.png", draw_thumbnail(samples / "spine-ap-sample.png")),
        (icons / "FootAP.png", draw_thumbnail(samples / "foot-ap-sample.png")),
        (icons / "FootLateral.png", draw_thumbnail(samples / "foot-lateral-sample.png")),
        (icons / "FootWBCT.png", draw_volume_thumbnail(samples / "foot-wbct-sample.nrrd")),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(str(path))
        print(path.relative_to(REPOSITORY))
    application.quit()


if __name__ == "__main__":
    main()
