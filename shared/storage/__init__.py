"""The storage account: tables, blobs and queues behind small protocols (`api`), with twins in memory.

Nothing here knows what is stored; keys and records are made in `shared.state`.
"""
