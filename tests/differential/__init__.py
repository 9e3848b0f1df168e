"""Cases that run twice, on walvec and on milvus-lite through pymilvus, and must answer alike.

A case (`cases/*.py`) is a function of a `Place`: a client, the package it came from, and names
for collections. The code is the same for both sides, one import differs. What it returns, or the
error it raises, is compared. Where the two may differ the case says what each does, why, and the
document that decides.
"""
