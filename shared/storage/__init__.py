"""The storage account: tables, blobs and queues behind small protocols (`api`), with Azure's clients behind them.

`testing` holds in-memory stores that fulfil the same protocols. Nothing here knows what is stored; keys and records
are made in `shared.state`.
"""
