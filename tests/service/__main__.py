"""Writes the OpenAPI document: ``python -m tests.service``."""

from tests.service.test_requests import DOCUMENT
from toolkit.service.routes import document

if __name__ == "__main__":
    DOCUMENT.write_text(document())
