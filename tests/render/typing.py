"""Types on a terminal: typing.py ANSWER… -- COMMAND. Prints what the screen shows.

Each answer waits for a question, and for the terminal to show no more what is typed, as a person's fingers do.
"""

import os
import pty
import sys
import termios
import time

end = sys.argv.index("--")
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])
screen, answers = b"", sys.argv[1:end]
while True:
    try:
        shown = os.read(terminal, 1024)
    except OSError:  # The other side is closed.
        break
    if not shown:
        break
    screen += shown
    if shown.endswith(b": ") and answers:
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, answers.pop(0).encode() + b"\n")
sys.stdout.buffer.write(screen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
