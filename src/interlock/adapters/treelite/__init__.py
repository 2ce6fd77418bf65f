"""Treelite's general tree inference, for trees that have no ONNX graph."""
