"""Downloads that are kept on the node: by their content, within bounds, one download for all who want it

`download.open_download` is the way in, `spool.spool` makes a file for a while of what is none.
"""
