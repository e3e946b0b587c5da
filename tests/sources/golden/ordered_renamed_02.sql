SELECT CAST(oi.Created AS DATE) AS OrderDay, SUM(oi.Qty) AS Quantity
FROM (SELECT "ID" AS ID, "OrderID" AS OrderID, "ProductID" AS ProductID, "Amount" AS Qty, "PricePerItem" AS PricePerItem, "Added" AS Created FROM "sales"."order lines") oi
WHERE oi.ProductID IN (1)
  AND oi.Created >= CAST('2021-05-03' AS DATE)
  AND oi.Created < CAST('2021-05-17' AS DATE)
GROUP BY CAST(oi.Created AS DATE)
