"""Fillers: what stands for a missing value, told by the other columns of its row."""
