"""Everything in this process: the model that every other backend is compared with, and the fake for tests."""
