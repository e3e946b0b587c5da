SELECT p.ID, p.Name, priced.OrderDay, priced.PricePerItem, priced.Qty
FROM "sales"."Articles" p
OUTER APPLY (
    SELECT TOP (25) CAST(oi.Created AS DATE) AS OrderDay, oi.PricePerItem, oi.Qty
    FROM (SELECT "ID" AS ID, "OrderID" AS OrderID, "ProductID" AS ProductID, "Amount" AS Qty, "PricePerItem" AS PricePerItem, "Added" AS Created FROM "sales"."order lines") oi
    INNER JOIN "sales"."Orders" o ON o.ID = oi.OrderID
    WHERE o.Created < CAST('2021-09-06' AS DATE)
  AND oi.Created < CAST('2021-09-06' AS DATE)
      AND oi.PricePerItem > 0
      AND oi.Qty > 0
      AND oi.ProductID = p.ID
    ORDER BY oi.Created DESC, oi.ID DESC
) priced
WHERE p.ID IN (1, 2)
