"""The two brokers, as far as a test looks into them; each test has a part of its own."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from kombu import Connection


class Broker(ABC):
    """A broker with a queue that nobody else uses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.queue = f"test-{uuid4().hex}"
        self.other_queue = f"{self.queue}-other"
        self.transport_options: dict[str, Any] = {}

    @abstractmethod
    def count(self, queue: str) -> int:
        """Return how many messages wait; those that a worker has in its hands are none of them."""

    @abstractmethod
    def purge(self, queue: str) -> None:
        """Lose what waits."""

    @abstractmethod
    def remove(self) -> None:
        """Leave nothing of the test behind."""


class RedisBroker(Broker):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.prefix = f"{self.queue}:"
        self.transport_options = {"global_keyprefix": self.prefix, "socket_connect_timeout": 5, "socket_timeout": 5}

    @contextmanager
    def _client(self) -> Iterator[Any]:
        # Only the tests with servers have it; the others collect this module, too.
        from redis import Redis

        with Redis.from_url(self.url) as client:
            yield client

    def count(self, queue: str) -> int:
        with self._client() as client:
            return int(client.llen(self.prefix + queue))

    def purge(self, queue: str) -> None:
        with self._client() as client:
            client.delete(self.prefix + queue)

    def remove(self) -> None:
        with self._client() as client:
            for key in client.scan_iter(f"*{self.prefix}*", count=1000):
                client.delete(key)


class RabbitMQBroker(Broker):
    @contextmanager
    def _channel(self) -> Iterator[Any]:
        with Connection(self.url) as connection, connection.channel() as channel:
            yield channel

    def count(self, queue: str) -> int:
        with Connection(self.url) as connection:
            channel = connection.channel()
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:
                return 0

    def purge(self, queue: str) -> None:
        with self._channel() as channel:
            channel.queue_purge(queue)

    def remove(self) -> None:
        with self._channel() as channel:
            for name in (self.queue, self.other_queue):
                channel.queue_delete(name)
                channel.exchange_delete(name)


def make_broker(kind: str) -> Broker:
    """Name a queue at one of them; REDIS_URL and RABBITMQ_URL name others than those on loopback."""
    if kind == "redis":
        return RedisBroker(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    return RabbitMQBroker(os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"))
