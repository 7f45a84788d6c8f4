"""pyzmq 25.1.2 has libzmq's sources in its sdist, and builds them into its extension."""

from builder import package_build

package_build.build_package(
    native=["zmq/backend/cython/*.so"],
    profiles={"ot2-py312": {"cflags": ["-DZMQ_HAVE_STRLCPY"]}},
    checks=[
        {
            "kind": "program",
            "name": "pyzmq asks and answers",
            "timeout": 60,
            "source": (
                "import zmq\n"
                "context = zmq.Context()\n"
                "answers = context.socket(zmq.REP)\n"
                "port = answers.bind_to_random_port('tcp://127.0.0.1')\n"
                "asks = context.socket(zmq.REQ)\n"
                "asks.connect(f'tcp://127.0.0.1:{port}')\n"
                "asks.send(b'plate 1')\n"
                "assert answers.recv() == b'plate 1'\n"
            ),
        }
    ],
    reason="""
    It is the last version of which this is so; later ones download libzmq while they are built. Its libzmq does not
    know that glibc has strlcpy since 2.38.
    """,
)
