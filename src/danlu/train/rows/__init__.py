"""Which rows a step takes: their order, how long they are, how they are changed, and how they get there."""
