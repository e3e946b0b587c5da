SELECT CAST(t.ID AS BIGINT) AS ID, t.Name AS Name
FROM dbo.Client t
WHERE 1 = 1
