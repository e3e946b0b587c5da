SELECT DISTINCT oi.ProductID
FROM dbo.OrderItem oi
INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
  AND oi.ProductID IS NOT NULL
  AND ca.ClientID IN (7, 8)
