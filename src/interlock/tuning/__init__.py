"""Studies of trials: search a space for the parameters that do best."""
