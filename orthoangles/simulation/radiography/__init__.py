"""What an X-ray tube sees of a foot: cameras, projection, detector, display."""
