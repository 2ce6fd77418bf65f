"""Datasets: snapshots of tables, rules on the way in, profiles, quarantine and diffs."""
