"""What a killed run needs to go on bit for bit, and how it is kept."""
