"""What the engine says beside a product's forecast: of a customer, of many products, what if."""
