"""HTTP/1.1 as the data plane speaks it: strict, bounded, and with nothing in between."""
