SELECT COUNT(*) AS Lines FROM dbo."Order" t WHERE t.Created IS NULL
