"""Disk images that the tests deploy: a small real Debian, built from its packages"""
