"""LightGBM, loaded from its own text."""
