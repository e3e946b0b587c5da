SELECT DISTINCT oi.ProductID
FROM (SELECT "ID" AS ID, "OrderID" AS OrderID, "ProductID" AS ProductID, "Amount" AS Qty, "PricePerItem" AS PricePerItem, "Added" AS Created FROM "sales"."order lines") oi
INNER JOIN "sales"."Orders" o ON o.ID = oi.OrderID
INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
  AND oi.ProductID IS NOT NULL
  AND ca.ClientID IN (7, 8)
