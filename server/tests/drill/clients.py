"""Clients of a drill: each sends what is next until some node acknowledges it."""

from __future__ import annotations

import random
import threading
import time

import urllib3

from drill.nodes import Node
from drill.traffic import Post, Traffic
from support.program import now

__all__ = ["Clients"]

_REST_S = 0.05


class Clients:
    """Several clients, each a thread.

    Args:
        traffic: what they send.
        nodes: where to; a node that is avoided or does not run is left out.
        count: how many there are.
        rest_s: between two posts of one client.
    """

    def __init__(self, traffic: Traffic, nodes: list[Node], count: int, rest_s: float) -> None:
        self._traffic = traffic
        self._nodes = nodes
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._begun = 0
        self.avoided: set[str] = set()
        self.acknowledged = 0
        self.retried = 0
        self.wrong: list[str] = []
        self.last_at = now()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in range(count)]

    def start(self) -> None:
        """Begin."""
        for each in self._threads:
            each.start()

    def finish(self) -> None:
        """Begin nothing more, and send what was begun until it is acknowledged."""
        self._stopping.set()
        for each in self._threads:
            each.join()

    def give_up(self) -> None:
        """End, whatever was acknowledged."""
        self._stopping.set()
        self._giving_up.set()
        for each in self._threads:
            if each.ident is not None:
                each.join()

    def are_done_with(self, posts: int) -> bool:
        """Whether all of the first so many posts are acknowledged."""
        with self._lock:
            return self._begun >= posts and not any(each < posts for each in self._open)

    def _run(self, number: int) -> None:
        chance = random.Random((self._traffic.seed, number).__hash__())
        try:
            while not self._stopping.is_set():
                with self._lock:
                    posts = self._traffic.next_post()
                    self._open |= {post.number for post in posts}
                    self._begun = max(self._begun, max(post.number for post in posts) + 1)
                if len(posts) > 1:
                    racers = [
                        threading.Thread(target=self._send, args=(post, random.Random(post.number)))
                        for post in posts
                    ]
                    for each in racers:
                        each.start()
                    for each in racers:
                        each.join()
                else:
                    self._send(posts[0], chance)
                time.sleep(self._rest_s * chance.random() * 2)
        except Exception as error:
            self.wrong.append(repr(error))

    def _send(self, post: Post, chance: random.Random) -> None:
        """Send it until it is acknowledged; now and then once more at another node."""
        if post.by_token:
            authorization = f"Bearer {post.secret}"
        else:
            basic = urllib3.make_headers(basic_auth=f"{post.secret}:")
            authorization = basic["authorization"]
        wanted = 2 if chance.random() < 0.1 else 1
        while wanted and not self._giving_up.is_set():
            node = chance.choice(self._nodes)
            if node.is_lost or not node.runs or node.name in self.avoided:
                time.sleep(_REST_S)
            elif node.post(post.path, post.body, authorization):
                wanted -= 1
            else:
                self.retried += 1
                time.sleep(_REST_S)
        with self._lock:
            self._open.discard(post.number)
            self.acknowledged += 1
            self.last_at = now()
