SELECT d.is_read_committed_snapshot_on, d.snapshot_isolation_state
FROM sys.databases d
WHERE d.name = DB_NAME()
