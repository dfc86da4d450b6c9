"""What watches a training and tells of it; none of it changes the run."""
