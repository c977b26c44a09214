"""Data sets: listed once, and worked through in shards, by one process or many."""
