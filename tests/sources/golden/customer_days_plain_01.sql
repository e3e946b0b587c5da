SELECT net.ClientID, net.OrderDay, COUNT(*) AS Products
FROM (
    SELECT ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE) AS OrderDay
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.ProductID IS NOT NULL
      AND ca.ClientID IN (7, 8)
    GROUP BY ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE)
    HAVING COALESCE(ROUND(SUM(oi.Qty), 6), 1) > 0
) net
GROUP BY net.ClientID, net.OrderDay
ORDER BY net.ClientID, net.OrderDay
