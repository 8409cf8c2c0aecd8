"""What every request and answer of the API has in common, whatever it is about.

gate         the outermost layer: id, token, rate limit, media type, error envelope
context      one request and its answer, and the caller behind it
contract     what an operation promises: access, parameters, bodies, for routes and description
query        what a query string asks for
cursors      where a page of rows stands
media        the names of the one body that there is
problems     every refusal
ratelimit    how many requests a token may make
remembered   what anybody may ask and is expensive to find out
"""
