"""Downloads that are kept on the node: by their content, within bounds, one download for all who want it"""
