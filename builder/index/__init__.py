"""The package index: a static tree of wheels, one branch per profile and channel, that pip, uv and ot2deploy read."""
