"""Wheels for a user: orders resolved, made into files, or told why they cannot be had."""

from builder.wheels.make import How, Made, Wheels, make_wheels, together

__all__ = ["How", "Made", "Wheels", "make_wheels", "together"]
