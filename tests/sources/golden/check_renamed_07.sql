SELECT COUNT_BIG(*) AS Lines FROM "sales"."Articles"
