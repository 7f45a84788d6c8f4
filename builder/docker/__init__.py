"""The one seam to Docker."""
