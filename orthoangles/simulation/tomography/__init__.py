"""What a weight-bearing CT scanner sees of a foot."""
