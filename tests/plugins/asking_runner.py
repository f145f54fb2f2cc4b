"""A runner whose trial wants something of the hub, and says how often a connection was tried."""

import socket

from fake_runners import finished

from seedbed.core.network import Network


def run(job, emit, should_stop, desk):
    tried, connect = [], socket.create_connection

    def refuse(*_):
        tried.append(1)
        raise OSError("no network in this test")

    socket.create_connection = refuse
    try:
        assert not Network(offline=False).is_online
    finally:
        socket.create_connection = connect
    emit(finished(job, f"{len(tried)} tried"))
