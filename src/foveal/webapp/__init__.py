"""The studio's server: one process on this machine, a page that asks and answers that are computed once."""
