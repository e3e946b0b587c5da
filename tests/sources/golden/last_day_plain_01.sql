SELECT CAST(MAX(oi.Created) AS DATE) AS LastDay
FROM dbo.OrderItem oi
WHERE oi.Created < CAST('TODAY' AS DATE)
