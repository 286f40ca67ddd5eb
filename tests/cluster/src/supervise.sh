# Runs one program for a test process and ends it when that process is gone, however it went.
#   sh -c "$(cat supervise.sh)" supervise GRACE_SECONDS PROGRAM [ARGUMENT…]
# stdin: signal names, one a line; when it closes, the program gets TERM, and KILL after GRACE_SECONDS.
# stdout: the program's process id. stderr: the log of the program.
grace=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
child=$!
# A stray signal to this shell must not leave the program alone.
trap 'kill -s TERM "$child"' HUP INT TERM
echo "$child"
exec >&-
(
	trap - HUP INT TERM
	exec 2>/dev/null
	while read -r signal <&3; do
		kill -s "$signal" "$child"
	done
	kill -s TERM "$child"
	sleep "$grace"
	kill -s KILL "$child"
) &
watcher=$!
exec 3<&-
wait "$child"
status=$?
while kill -0 "$child" 2>/dev/null; do
	wait "$child"
	status=$?
done
kill "$watcher" 2>/dev/null
exit "$status"
