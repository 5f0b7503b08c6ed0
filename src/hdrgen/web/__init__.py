"""The web page of `hdrgen serve`: a thin skin over the routes, with a viewer for float pictures."""
