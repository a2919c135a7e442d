"""A development host: runs an Azure Functions app (Python, v2 model) as the real host does, on this machine.

`python -m sandbox.devhost` serves a folder with a `function_app.py`; `sandbox.devhost.inprocess` does the same
inside a test.
"""
