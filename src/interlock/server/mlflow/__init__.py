"""MLflow's REST protocol: tracking, registry, artifacts, traces and webhooks, one file per surface."""
