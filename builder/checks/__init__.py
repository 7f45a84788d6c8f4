"""What runs next to an installed package, on a robot or under emulation. Standard library only, Python 3.7 syntax."""
