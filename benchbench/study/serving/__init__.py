"""The study as a web page: who may answer (`reception.py`), over HTTP (`app.py`), on an address (`server.py`)."""
