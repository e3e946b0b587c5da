"""What to order: levels and quantities from the draws of a product's demand."""
