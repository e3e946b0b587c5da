SELECT COUNT_BIG(*) AS Lines FROM "dbo"."OrderItem"
