"""Uploads over HTTP: what comes in, and our own client."""
