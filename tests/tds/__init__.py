"""A database server that speaks TDS, SQL Server's protocol, over TCP, and runs T-SQL on DuckDB.

The real driver connects to it, so what the tests see of connections, encryption, results, errors,
time-outs and broken sockets is the driver's own behaviour. ``server.TdsServer`` is the server,
``faults`` what it can be told to do wrong.

What it cannot show, because DuckDB answers:

- locking: nobody waits for a writer, no deadlock comes about by itself, isolation levels and
  ``DEADLOCK_PRIORITY`` are accepted and mean nothing;
- collation: text compares by its bytes, where SQL Server mostly ignores case and trailing blanks;
- plans: a query's time says nothing about SQL Server's, indexes are a list that ``catalog`` holds,
  and no limit of the query processor (on long ``IN`` lists, say) is met;
- ``DATEFORMAT`` and ``SET`` options in general: they are read over, and noted where the condition
  before one holds;
- arithmetic of SQL Server's types: ``datetime`` is rounded to 1/300 s on the wire, as there, but
  compared in microseconds; integer sums do not overflow;
- permissions, beyond user and password, and what the hook plays.

It answers SQL batches only: no remote procedures, no bulk copy, no server cursors, no MARS, and
of the system views just those in ``catalog``.
"""
