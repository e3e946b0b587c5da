"""A run as one page that opens offline: ``backtests.report.page.write_report``."""
