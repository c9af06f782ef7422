"""Real servers of our own, for tests and for the demo: Redis, RabbitMQ, PostgreSQL, a stand-in for S3.

Each is a process (or a few) on free loopback ports, with everything it writes in one given folder. It is
started, stopped, killed, paused and restarted by its process id, and dies with the process that started it.
Nothing here knows of the sidecar, of pytest or of the demo; only the standard library is needed.
"""

from tools.servers.docker import RabbitContainer, RedisContainer, docker_answers
from tools.servers.postgres import PostgresServer
from tools.servers.rabbitmq import QUICK_STATISTICS, Permissions, RabbitServer
from tools.servers.redis import RedisServer
from tools.servers.s3 import S3Server
from tools.servers.server import Server, ServerFailed, ServerMissing, TlsFiles, find_command, spawn

__all__ = [
    "QUICK_STATISTICS",
    "Permissions",
    "PostgresServer",
    "RabbitContainer",
    "RabbitServer",
    "RedisContainer",
    "RedisServer",
    "S3Server",
    "Server",
    "ServerFailed",
    "ServerMissing",
    "TlsFiles",
    "docker_answers",
    "find_command",
    "spawn",
]
