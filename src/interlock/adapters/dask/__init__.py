"""Run work on a Dask cluster."""
