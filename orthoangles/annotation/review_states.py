"""What may have become of an image under review."""

REVIEW_STATES = ("new", "predicted", "corrected", "confirmed", "rejected")
