"""greenlet switches stacks in inline assembly that does not survive clang's usual optimisation on 32-bit ARM."""

from builder import package_build

package_build.build_package(
    cflags=["-Os"],
    native=["greenlet/_greenlet*.so"],
    checks=[
        {
            "kind": "program",
            "name": "greenlet switches",
            "timeout": 30,
            "source": (
                "import greenlet\n"
                "def child(x):\n"
                "    return greenlet.getcurrent().parent.switch(x + 1) * 2\n"
                "g = greenlet.greenlet(child)\n"
                "assert g.switch(1) == 2\n"
                "assert g.switch(21) == 42 and g.dead\n"
            ),
        }
    ],
    reason="""
    Built by clang for ARM with -O1, -O2 or -O3, greenlet 3.1.1 crashes in its first switch: switch_arm32_gcc.h relies
    on __attribute__((optimize("no-omit-frame-pointer"))), which only gcc knows. With -Os it passes switch, throw,
    exception, kill and thread tests. Upstream does the same for riscv64.
    """,
)
