#!/usr/bin/env python3
"""alone.py LOCK COMMAND...: runs a command if no other runs under this lock, in the foreground of the terminal.

The command gets a process group of its own, so Ctrl-C at the terminal ends the command and not `make` around it, which
would report an error whatever the command makes of it. A signal to this program is passed on.
"""
import ctypes
import fcntl
import os
import signal
import subprocess
import sys

lock = open(sys.argv[1], "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("`make dev` is already running here: use it with `. .dev/env`, or end it with Ctrl-C and start it again")

try:
    terminal = os.open("/dev/tty", os.O_RDWR)
    before = os.tcgetpgrp(terminal)
    # Started in the background, as by `make dev &`: it stays there.
    if before != os.getpgrp():
        terminal = None
except OSError:
    terminal = None
# A process in the background that gives the terminal away would be stopped.
signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def to_the_front():
    os.setpgid(0, 0)
    # On Linux the command is told to end even when this program is killed.
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if terminal is not None:
        os.tcsetpgrp(terminal, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


child = subprocess.Popen(sys.argv[2:], preexec_fn=to_the_front)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: child.terminate())
code = child.wait()
if terminal is not None:
    os.tcsetpgrp(terminal, before)
sys.exit(code if code >= 0 else 128 - code)
