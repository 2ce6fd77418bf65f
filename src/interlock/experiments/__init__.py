"""Runs and what they log: parameters, metrics, artifacts, code and libraries."""
