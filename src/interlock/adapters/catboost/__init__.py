"""CatBoost, loaded from its own binary form."""
