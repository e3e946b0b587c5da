SELECT MAX("Created") AS Latest FROM "dbo"."OrderItem"
