"""The build engine: requirements and a profile in, a verified bundle out. Knows nothing of SSH or robots."""
