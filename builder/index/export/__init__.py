"""An index as files to carry."""
