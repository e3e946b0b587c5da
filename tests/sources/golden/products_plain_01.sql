SELECT p.ID, p.Name, priced.PricePerItem
FROM dbo.Product p
LEFT JOIN (
    SELECT oi.ProductID, oi.PricePerItem,
           ROW_NUMBER() OVER (
               PARTITION BY oi.ProductID ORDER BY oi.Created DESC, oi.ID DESC
           ) AS Recency
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.PricePerItem IS NOT NULL
      AND oi.Qty > 0
      AND oi.ProductID IN (1, 2)
) priced ON priced.ProductID = p.ID AND priced.Recency = 1
WHERE p.ID IN (1, 2)
ORDER BY p.ID
