SELECT p.ID, p.Name
FROM "sales"."Articles" p
WHERE p.Name IS NOT NULL
