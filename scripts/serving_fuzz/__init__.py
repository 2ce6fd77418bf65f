"""Fuzz a real `interlock serve` from several sides at once, and say what is left of it."""
