"""A development host: runs an Azure Functions app (Python, v2 programming model) on this machine, as Azure's host does.

`python -m sandbox.devhost` serves a folder with a `function_app.py`; `sandbox.devhost.inprocess` hosts an app inside
a test.
"""
