"""Our cost, measured beside what it is a ratio of, in one run."""
