"""The edge to Redis and Valkey: cached forecasts, and a server for those who have none."""
