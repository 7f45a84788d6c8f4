"""Proof by execution: a bundle is installed into a fresh environment of an emulated ARM interpreter and run there."""

from builder.qualify.emulated import Emulated, find_interpreter
from builder.qualify.known import Known
from builder.qualify.proof import qualify
from builder.qualify.result import AUDITED, EMULATED, Options, Qualified, Row

__all__ = [
    "AUDITED",
    "EMULATED",
    "Emulated",
    "Known",
    "Options",
    "Qualified",
    "Row",
    "find_interpreter",
    "qualify",
]
