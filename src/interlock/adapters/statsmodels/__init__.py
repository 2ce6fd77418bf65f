"""Linear models of statsmodels, answered from their coefficients."""
