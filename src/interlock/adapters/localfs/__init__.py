"""Plain files on a local disk."""
