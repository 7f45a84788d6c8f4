"""An index kept in order: versions are promoted, yanked, and removed when nothing uses them."""
