"""Corrections as data: landmarks in files, datasets of reviewed cases, export from the scene and import."""
