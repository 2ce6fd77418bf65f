"""Recording of other libraries."""
