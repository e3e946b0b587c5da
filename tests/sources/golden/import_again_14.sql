SELECT CAST(t.ID AS BIGINT) AS ID, CAST(t.ClientAgreementID AS BIGINT) AS ClientAgreementID, CAST(t.Created AS DATETIME2) AS Created
FROM dbo."Order" t
WHERE t.Created >= CAST('2021-03-01' AS DATE)
  AND t.Created < CAST('2021-03-25' AS DATE)
  AND (t.Created >= CAST('2021-03-20' AS DATE) OR t.ID > 33)
