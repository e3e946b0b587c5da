SELECT YEAR(t.Created) AS OrderYear, MONTH(t.Created) AS OrderMonth,
       COUNT(*) AS Lines,
       SUM(CAST(DAY(t.Created) AS DECIMAL(38, 0))) AS DaySum,
       SUM(CAST(t.ID AS DECIMAL(38, 0))) AS IDSum,
       SUM(CAST(t.OrderID AS DECIMAL(38, 0))) AS OrderIDSum,
       SUM(CAST(t.ProductID AS DECIMAL(38, 0))) AS ProductIDSum,
       SUM(CAST(t.ID % 2147483647 AS DECIMAL(10, 0)) * CAST(DAY(t.Created) AS DECIMAL(19, 0))) AS DayWeighed,
       SUM(CAST(t.ID % 2147483647 AS DECIMAL(10, 0)) * CAST(t.OrderID AS DECIMAL(19, 0))) AS OrderIDWeighed,
       SUM(CAST(t.ID % 2147483647 AS DECIMAL(10, 0)) * CAST(t.ProductID AS DECIMAL(19, 0))) AS ProductIDWeighed,
       SUM(CAST(t.Qty AS DOUBLE PRECISION)) AS Sum1,
       SUM(CAST(t.PricePerItem AS DOUBLE PRECISION)) AS Sum2,
       SUM(CAST(t.Qty AS DOUBLE PRECISION) * CAST(t.PricePerItem AS DOUBLE PRECISION)) AS Sum3,
       SUM(CAST(t.ID % 1009 AS DOUBLE PRECISION) * CAST(t.Qty AS DOUBLE PRECISION)) AS Sum4,
       SUM(CAST(t.ID % 1009 AS DOUBLE PRECISION) * CAST(t.PricePerItem AS DOUBLE PRECISION)) AS Sum5
FROM dbo.OrderItem t
WHERE t.Created < CAST('2021-03-25' AS DATE)
GROUP BY YEAR(t.Created), MONTH(t.Created)
