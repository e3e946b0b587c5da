SELECT p.ID, p.Name, priced.OrderDay, priced.PricePerItem, priced.Qty
FROM dbo.Product p
OUTER APPLY (
    SELECT TOP (25) CAST(oi.Created AS DATE) AS OrderDay, oi.PricePerItem, oi.Qty
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.PricePerItem > 0
      AND oi.Qty > 0
      AND oi.ProductID = p.ID
    ORDER BY oi.Created DESC, oi.ID DESC
) priced
WHERE p.ID IN (1, 2)
