#!/bin/sh
# kubectl certcourier: save this as `kubectl_complete-certcourier` in a folder of your PATH, and make it executable.
exec kubectl certcourier __complete "$@"
