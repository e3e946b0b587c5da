SELECT CAST(oi.Created AS DATE) AS OrderDay, SUM(oi.Qty) AS Quantity
FROM dbo.OrderItem oi
WHERE oi.ProductID IN (1)
  AND oi.Created >= CAST('2021-05-03' AS DATE)
  AND oi.Created < CAST('2021-05-17' AS DATE)
GROUP BY CAST(oi.Created AS DATE)
