"""Another Interlock over HTTP, derived from the ports."""
