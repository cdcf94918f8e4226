"""A dataset for other tools: COCO keypoints, labelme, or one table."""

from orthoangles.annotation.exports.coco import write_coco
from orthoangles.annotation.exports.labelme import write_labelme
from orthoangles.annotation.exports.selection import ExportReport, Selection
from orthoangles.annotation.exports.table import write_table

__all__ = ["ExportReport", "Selection", "write_coco", "write_labelme", "write_table"]
