"""Prints results as JSON, without the library that draws them for people: importing that takes its time."""

from __future__ import annotations

import json
import sys


def as_json(document: object) -> None:
    """Prints one JSON document on standard output, in letters that every encoding has."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
