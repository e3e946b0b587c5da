SELECT p.ID, p.Category
FROM (SELECT "ID" AS ID, "Name" AS Name, "Group" AS Category FROM "sales"."Articles") p
WHERE p.Category IS NOT NULL AND p.ID IN (1, 2)
