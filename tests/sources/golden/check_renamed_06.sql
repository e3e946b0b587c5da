SELECT COUNT_BIG(*) AS Lines FROM "sales"."order lines"
