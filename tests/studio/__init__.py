"""The studio: its server, and its pages in a real browser."""
