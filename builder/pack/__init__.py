"""Packs: trees that a robot only has to unpack."""

from builder.pack.pack import PACK_FORMAT, Packing, pack_all, pip_pin, write_tar

__all__ = ["PACK_FORMAT", "Packing", "pack_all", "pip_pin", "write_tar"]
