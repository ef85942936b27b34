"""Contracts of data: what a row and the content of a dataset must be. Reading files is assets/normalization."""
