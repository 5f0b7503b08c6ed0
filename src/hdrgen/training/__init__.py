"""Training: one visible loop for each model, and what the loops share."""
