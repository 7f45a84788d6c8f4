"""A mirror in an index's server: public projects on demand."""
