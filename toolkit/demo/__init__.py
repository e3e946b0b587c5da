"""The demo: a year of real grocery orders, from the raw lines to what production reads."""

from toolkit.demo.orders import AS_OF, write_orders

__all__ = ["AS_OF", "write_orders"]
