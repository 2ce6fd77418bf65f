"""Package fitted models, keep their versions, and hand them out whole."""
