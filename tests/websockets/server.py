# A WebSocket server of another make for tests/websockets.rs: it echoes, with and without compression.
# Usage: server.py; prints the ports of its variants as JSON, then serves until its input ends.
import asyncio
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(socket):
    try:
        async for message in socket:
            if message == "close":
                await socket.close(4001, "as asked")
            elif message == "fragments":
                await socket.send(["frag", "men", "", "ts"])
            elif message == "agreed":
                await socket.send(",".join(type(e).__name__ + str(e) for e in socket.extensions))
            else:
                await socket.send(message)
    except websockets.ConnectionClosed:
        pass


async def main():
    deflate = ServerPerMessageDeflateFactory
    variants = {
        "plain": None,
        "kept": [deflate()],
        "server_forgets": [deflate(server_no_context_takeover=True)],
        "client_forgets": [deflate(client_no_context_takeover=True)],
        "both_forget": [deflate(server_no_context_takeover=True, client_no_context_takeover=True)],
        "small_windows": [deflate(server_max_window_bits=9, client_max_window_bits=10)],
    }
    servers = {
        name: await websockets.serve(
            echo,
            "127.0.0.1",
            0,
            compression=None,
            extensions=extensions,
            max_size=1 << 24,
            subprotocols=["chat.v2", "chat.v1"],
        )
        for name, extensions in variants.items()
    }
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
