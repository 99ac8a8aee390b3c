"""`make bench`: a whole deployment against its floor, measured in one run"""
