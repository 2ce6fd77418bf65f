"""Record trainings of other libraries by themselves."""
