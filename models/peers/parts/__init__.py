"""What peers share."""
