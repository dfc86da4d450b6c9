"""What training rows are changed by: `train.augment`. NumPy only."""
