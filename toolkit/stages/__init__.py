"""The six stages of a forecast, one module each, and the engine that runs them."""
