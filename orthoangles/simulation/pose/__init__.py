"""Joints, contacts, and feet that stand with the angles they were given."""
