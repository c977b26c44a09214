"""What the columns of tables of pictures may be called."""

PATHS = ("uri", "path", "file", "filename", "image")
"""The column of paths; the first of these that a table has is read."""
LABELS = ("label", "class", "target", "class_index")
"""The column of labels."""
