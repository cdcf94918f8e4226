"""Landmarks of a foot in a CT volume: a coarse network sees the whole foot, a fine one looks closely at its joints."""
