SELECT d.is_read_committed_snapshot_on
FROM sys.databases d
WHERE d.name = DB_NAME()
