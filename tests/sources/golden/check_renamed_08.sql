SELECT MAX("Added") AS Latest FROM "sales"."order lines"
