"""Checks of the Open Inference Protocol, version 2, which any server can be held against."""
