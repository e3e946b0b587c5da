SELECT YEAR(t.Created) AS OrderYear, MONTH(t.Created) AS OrderMonth,
       COUNT(*) AS Lines,
       SUM(CAST(DAY(t.Created) AS DECIMAL(38, 0))) AS DaySum,
       SUM(CAST(t.ID AS DECIMAL(38, 0))) AS IDSum,
       SUM(CAST(t.ClientAgreementID AS DECIMAL(38, 0))) AS ClientAgreementIDSum,
       SUM(CAST(t.ID % 2147483647 AS DECIMAL(10, 0)) * CAST(DAY(t.Created) AS DECIMAL(19, 0))) AS DayWeighed,
       SUM(CAST(t.ID % 2147483647 AS DECIMAL(10, 0)) * CAST(t.ClientAgreementID AS DECIMAL(19, 0))) AS ClientAgreementIDWeighed
FROM dbo."Order" t
WHERE t.Created < CAST('2021-03-20' AS DATE)
GROUP BY YEAR(t.Created), MONTH(t.Created)
