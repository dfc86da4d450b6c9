"""The weights in flat buffers: what they start from, how they follow gradients, and their averages."""
