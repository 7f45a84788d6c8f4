"""Pushes Python environments to OT-2 robots over SSH, verifies them there and rolls back."""

__version__ = "0.1.0"
