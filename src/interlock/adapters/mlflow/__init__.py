"""Model folders that only MLflow itself can load."""
