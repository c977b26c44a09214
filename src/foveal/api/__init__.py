"""The verbs: a file each. What they share is below, in `attribution`."""
