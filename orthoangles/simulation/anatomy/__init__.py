"""Bones: read, built by code, varied, and the landmarks on them."""
