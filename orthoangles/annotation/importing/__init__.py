"""Foreign landmarks into a dataset: AASCE 2019, COCO keypoints, labelme, and what Slicer or this extension saved."""

from orthoangles.annotation.importing.aasce import aasce_group, import_aasce
from orthoangles.annotation.importing.coco import import_coco
from orthoangles.annotation.importing.labelme import import_labelme
from orthoangles.annotation.importing.report import ImportReport
from orthoangles.annotation.importing.slicer import import_slicer

__all__ = ["ImportReport", "aasce_group", "import_aasce", "import_coco", "import_labelme", "import_slicer"]
