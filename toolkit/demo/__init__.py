"""The demo: a year of grocery orders, from the raw lines to what production reads."""

from toolkit.demo.orders import AS_OF as AS_OF
from toolkit.demo.orders import write_orders as write_orders
