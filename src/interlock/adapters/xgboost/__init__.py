"""XGBoost, loaded from its own JSON in binary (UBJ)."""
