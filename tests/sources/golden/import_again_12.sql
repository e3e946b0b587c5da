SELECT COUNT(*) AS Lines FROM dbo.OrderItem t WHERE t.Created IS NULL
