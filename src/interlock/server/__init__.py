"""One process that speaks every protocol: the API, the derived store operations, the web UI, the data plane."""
