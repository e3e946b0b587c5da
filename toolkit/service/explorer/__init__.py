"""Pages for people over what the service serves, and what an engine adds to it."""
