"""scikit-learn, loaded through skops without running code that a package brings."""
