//! What somebody types at a terminal.

use test_support::shell::{Ended, Shell, end};

/// Runs a command at a terminal and types these lines, each when the terminal waits for one; prints what the terminal shows.
/// Of `*secret` the `secret`, once the terminal shows nothing that is typed; of `y@FILE` the `y`, when there is such a file;
/// `FILE.asked` is there from when it is waited for.
const TERMINAL: &str = r#"
import os, pty, select, signal, sys, termios, time
lines, command = sys.argv[1].split("|"), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
shown, typed, end = b"", 0, time.time() + 25
while time.time() < end:
    ready, _, _ = select.select([terminal], [], [], 0.05)
    if ready:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            read = b""
        if not read:
            break
        shown += read
    if typed < len(lines) and lines[typed] and shown.endswith(b": "):
        line, _, file = lines[typed].partition("@")
        # What is typed before the echo is off would be shown.
        if line.startswith("*") and termios.tcgetattr(terminal)[3] & termios.ECHO:
            continue
        line = line.removeprefix("*")
        if file and not os.path.exists(file):
            open(file + ".asked", "w").close()
            continue
        os.write(terminal, b"\x03" if line == "^C" else line.encode() + b"\n")
        shown += b"\n"
        typed += 1
else:
    os.kill(child, signal.SIGKILL)
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"#;

/// `kubectl certcourier …` at a terminal.
pub async fn typing(shell: &Shell<'_>, lines: &str, arguments: &[&str]) -> Ended {
    let mut python = shell.program("python3");
    python.args(["-c", TERMINAL, lines, "kubectl", "certcourier", "-n", &shell.world.namespace]).args(arguments);
    python.env("TERM", "xterm");
    end(python).await
}
