"""Wheel files: read without trust, written to the same bytes, with their papers."""

from builder.wheel.file import DAMAGED, SIGNATURES, NotAWheel, RecordRow, UnsafeWheel, WheelFile

__all__ = ["DAMAGED", "SIGNATURES", "NotAWheel", "RecordRow", "UnsafeWheel", "WheelFile"]
