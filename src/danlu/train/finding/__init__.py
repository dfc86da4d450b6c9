"""What a run finds out before its first step: step size, batch size, what fits into a budget."""
