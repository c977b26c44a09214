"""Situations of new users: the README's own commands, and what must be seen."""
