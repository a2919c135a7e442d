"""How state is laid out in tables: keys, codec and one repository per table, written once over `TableStore`.

The stores below are in memory or on Azure, so that everything here runs the same in tests and in production.
"""
