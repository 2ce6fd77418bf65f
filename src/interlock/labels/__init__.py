"""Annotations, label sets frozen from them, and agreement between annotators."""
