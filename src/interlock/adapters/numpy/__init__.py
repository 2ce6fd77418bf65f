"""Adapters computed with NumPy."""
