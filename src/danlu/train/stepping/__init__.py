"""The arithmetic of one step: its gradients, by one worker or several, and what does it."""
