"""Synthetic images with exact landmarks: no patient stands behind them."""
