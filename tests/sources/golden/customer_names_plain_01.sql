SELECT c.ID, c.Name
FROM dbo.Client c
WHERE c.ID IN (7, 8) AND c.Name IS NOT NULL
