"""What surrounds and fills the bones of a posed foot."""
