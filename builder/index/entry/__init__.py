"""How wheels enter an index."""
