"""Meters as teams build them: FastAPI in front of PostgreSQL, Redis or ClickHouse.

They need the packages of requirements/contest.txt and nothing of Headcount. Each takes Segment's
messages on /v1/batch and /v1/track, and answers a month's daily series on /usage.

    serve        worker processes on one address
    front        what all of them have in common: messages, write keys, groups of requests
    postgres     the engine that most teams have
    redis        sets in memory
    clickhouse   rows first, counts when somebody asks
"""
