"""The gamma versions: renewal intervals with crossed effects and lapse."""
