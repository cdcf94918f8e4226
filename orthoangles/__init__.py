"""OrthoAngles: skeletal alignment angles from landmarks on radiographs and weight-bearing CT.

For research use; not a medical device. Importing the package costs milliseconds: torch, MONAI, SimpleITK and Slicer
are imported by the functions that need them.
"""

__version__ = "0.1.0"
