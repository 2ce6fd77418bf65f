"""Where the stations lock: gates, rollouts, triggers, retraining, feedback and traces."""
