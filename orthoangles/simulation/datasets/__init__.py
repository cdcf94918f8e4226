"""Simulated cases by the thousand, as a dataset."""
