"""A local address that acknowledges MLflow writes to an append log and forwards them: `interlock spool`."""
