"""Alarms, sent to an address as JSON: ``{"text": "…"}``, which chat services take."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

PATIENCE_S = 10.0


def post(url: str, alarms: Sequence[str]) -> str | None:
    """Post the sentences to ``url``; returns why that failed, without the address, or None."""
    body = json.dumps({"text": "\n".join(alarms)}).encode()
    if not url.startswith(("https://", "http://")):
        return "the address has to begin with https:// or http://"
    try:
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=PATIENCE_S):
            return None
    except urllib.error.HTTPError as exc:
        return f"the server answered {exc.code}"
    except (OSError, ValueError, HTTPException) as exc:
        return str(getattr(exc, "reason", None) or type(exc).__name__)
