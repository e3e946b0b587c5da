SELECT c.ID, c.Name
FROM dbo.Client c
WHERE c.Name IS NOT NULL
