"""Custody: where every byte of the line lies, under which digest, and who vouched for it."""
