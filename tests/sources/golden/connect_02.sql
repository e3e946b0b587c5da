use [Sales]
