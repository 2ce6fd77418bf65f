"""Drives unmodified MLflow clients of several versions against Interlock and against MLflow's own store."""
