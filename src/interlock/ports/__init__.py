"""Everything replaceable: one Protocol and its records per file."""
