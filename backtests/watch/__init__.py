"""The watch over what was promoted: forecasts kept, scored when their weeks are over."""
