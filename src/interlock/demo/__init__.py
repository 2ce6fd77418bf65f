"""The main job on real data: a year of flights taken round both loops."""
