"""Synthetic images with exact landmarks: no patient stands behind them. Feet begin in ``foot``, spines in ``spine``."""
