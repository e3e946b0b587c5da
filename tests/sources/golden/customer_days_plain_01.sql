SELECT net.ClientID, net.OrderDay, CASE WHEN returned.ClientID IS NULL THEN 0 ELSE 1 END AS HasReturns,
       COALESCE(returned.ProductID, 0) AS ProductID, COUNT(*) AS Products,
       SUM(CASE WHEN returned.ClientID IS NULL THEN 0 ELSE net.Quantity END) AS Quantity
FROM (
    SELECT ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE) AS OrderDay,
           SUM(oi.Qty) AS Quantity
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.ProductID IS NOT NULL
      AND ca.ClientID IN (7, 8)
    GROUP BY ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE)
) net
LEFT JOIN (
    SELECT DISTINCT ca.ClientID, oi.ProductID
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.ProductID IS NOT NULL
      AND ca.ClientID IN (7, 8)
      AND oi.Qty < 0
) returned ON returned.ClientID = net.ClientID AND returned.ProductID = net.ProductID
WHERE returned.ClientID IS NOT NULL
   OR COALESCE(ROUND(net.Quantity, 6), 1) > 0
GROUP BY net.ClientID, net.OrderDay, CASE WHEN returned.ClientID IS NULL THEN 0 ELSE 1 END, COALESCE(returned.ProductID, 0)
ORDER BY net.ClientID, net.OrderDay
