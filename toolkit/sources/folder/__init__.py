"""Folders of files: found, checked, numbered and imported."""
