"""What a deployment tells while it runs, and to whom: one sink a file"""
