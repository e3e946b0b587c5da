SELECT p.ID, p.Name
FROM dbo.Product p
WHERE p.Name IS NOT NULL
