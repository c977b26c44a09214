"""Verbs on data sets: every picture explained once, in parts that are kept, and looked at together afterwards."""
