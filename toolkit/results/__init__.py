"""What the engine returns: forecasts, patterns and predictions, and how they show themselves."""
