"""One connection of the emulated machine to the host: copies between the standard streams and a local port.

The emulator starts it for every connection to the metadata service's address.
"""

import os
import socket
import sys
import threading

SIZE = 1 << 16


def main(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as far:

        def send() -> None:
            while data := os.read(0, SIZE):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        while data := far.recv(SIZE):
            os.write(1, data)


if __name__ == "__main__":
    main(int(sys.argv[1]))
