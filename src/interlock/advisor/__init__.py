"""Advice: which tools there are and how Interlock joins them, and how ready a project is."""
