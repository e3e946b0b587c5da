"""The embedded database: its tables, and the check of one that somebody else filled."""
