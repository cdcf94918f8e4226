"""The Qt side of OrthoAngles: one panel and one logic behind both modules. The rest lives in ``orthoangles``."""
