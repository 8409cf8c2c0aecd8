"""The usage API: daily running totals of a month, as rows, a page at a time.

routes   its four GETs
bodies   what they answer
grid     which rows a month has, in order, without building them
scopes   whose rows a query is about
month    a workspace's month as it stands
"""
