"""The tables of figures in the documents, written from what the stages and `hdrgen bench` measured.

``python -m hdrgen.report.tables`` writes them all anew, so that a retraining edits no prose.
"""
