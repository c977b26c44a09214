"""Pages that are made of results."""
