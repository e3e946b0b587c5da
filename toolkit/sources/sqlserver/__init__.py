"""SQL Server: settings, dialect, check and import."""
