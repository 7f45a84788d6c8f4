"""pyzmq 25.1.2 has libzmq's sources in its sdist, and builds them into its extension."""

from builder import package_build

package_build.build_package(
    env={"DIST_EXTRA_CONFIG": "/dev/null"},
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
    Version 25.1.2 is the last one whose source holds libzmq; later ones download it while they are built. Its
    setup.py turns the C compiler into a C++ compiler while it builds libzmq, so the other extensions must not be
    compiled at the same time: everything is compiled one after the other. Its libzmq does not know that glibc has
    had the function strlcpy since version 2.38.
    """,
)
