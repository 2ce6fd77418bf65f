"""Steps as plain functions, pipelines of them, and keys that know when a step must run again."""
