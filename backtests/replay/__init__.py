"""Replay: what a replenishment policy would have achieved at past dates, beside common rules."""
