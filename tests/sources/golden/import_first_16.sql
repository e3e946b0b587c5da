SELECT YEAR(t.Created) AS OrderYear, MONTH(t.Created) AS OrderMonth,
       COUNT(*) AS Lines,
       SUM(CAST(DAY(t.Created) AS BIGINT)) AS Days,
       SUM(CAST(t.ID AS DECIMAL(38, 0))) AS IDSum,
       SUM(CAST(t.ClientAgreementID AS DECIMAL(38, 0))) AS ClientAgreementIDSum
FROM dbo."Order" t
WHERE t.Created < CAST('2021-03-20' AS DATE)
GROUP BY YEAR(t.Created), MONTH(t.Created)
ORDER BY YEAR(t.Created), MONTH(t.Created)
