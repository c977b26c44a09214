"""Situations of new users, as scripts of the commands that the README gives them."""
