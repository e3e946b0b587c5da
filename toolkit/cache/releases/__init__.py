"""Releases: one complete export each, staged, made current in one step, kept, cleaned."""
