SELECT CAST(MAX(oi.Created) AS DATE) AS LastDay
FROM (SELECT "ID" AS ID, "OrderID" AS OrderID, "ProductID" AS ProductID, "Amount" AS Qty, "PricePerItem" AS PricePerItem, "Added" AS Created FROM "sales"."order lines") oi
WHERE oi.Created < CAST('TODAY' AS DATE)
