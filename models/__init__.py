"""Model versions, one module each, registered in the entry-point group ``toolkit.models``."""
