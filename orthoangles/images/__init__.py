"""Files to one image in physical space: DICOM, PNG, JPEG, TIFF, NRRD, NIfTI, MetaImage.

>>> from orthoangles.images import read_image
>>> image = read_image("spine.dcm")  # doctest: +SKIP
"""

from orthoangles.images.checks import display_range, require_radiograph, require_volume
from orthoangles.images.grid import ImageGeometry
from orthoangles.images.image import Image
from orthoangles.images.reading import read_image

__all__ = ["Image", "ImageGeometry", "display_range", "read_image", "require_radiograph", "require_volume"]
