"""Losses of the networks, one module each. Import a submodule; torch loads only then."""
