SELECT YEAR(t.Created) AS OrderYear, MONTH(t.Created) AS OrderMonth,
       COUNT(*) AS Lines,
       SUM(CAST(DAY(t.Created) AS BIGINT)) AS Days,
       SUM(CAST(t.ID AS DECIMAL(38, 0))) AS IDSum,
       SUM(CAST(t.OrderID AS DECIMAL(38, 0))) AS OrderIDSum,
       SUM(CAST(t.ProductID AS DECIMAL(38, 0))) AS ProductIDSum,
       SUM(CAST(t.Qty AS DOUBLE PRECISION)) AS Sum1,
       SUM(CAST(t.PricePerItem AS DOUBLE PRECISION)) AS Sum2,
       SUM(CAST(t.Qty AS DOUBLE PRECISION) * CAST(t.PricePerItem AS DOUBLE PRECISION)) AS Sum3,
       SUM(CAST(t.ID % 1009 AS DOUBLE PRECISION) * CAST(t.Qty AS DOUBLE PRECISION)) AS Sum4
FROM dbo.OrderItem t
WHERE t.Created < CAST('2021-03-20' AS DATE)
GROUP BY YEAR(t.Created), MONTH(t.Created)
ORDER BY YEAR(t.Created), MONTH(t.Created)
