"""Send the same scoring requests to `mlflow models serve` and to `interlock serve`, and compare what they say."""
