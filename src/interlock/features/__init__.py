"""Feature views, point-in-time joins over them, and lookups of their newest values."""
