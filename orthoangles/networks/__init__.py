"""Networks: HRNet features and the vertebra heads on them. Import a submodule; torch loads only then."""
