SELECT s.name AS SchemaName, o.name AS TableName, i.index_id AS Number, i.type AS Kind,
       c.name AS ColumnName, ic.key_ordinal AS Place
FROM sys.indexes i
INNER JOIN sys.objects o ON o.object_id = i.object_id
INNER JOIN sys.schemas s ON s.schema_id = o.schema_id
INNER JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
INNER JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE o.name IN (N'Client', N'ClientAgreement', N'Orders', N'order lines', N'Articles')
  AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.has_filter = 0
