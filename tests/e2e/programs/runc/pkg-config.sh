#!/usr/bin/env bash
# pkg-config for the one library that runc is linked with; its folders are in CGO_CFLAGS and CGO_LDFLAGS.
case "$*" in
*--cflags*) ;;
*--libs*) echo "-lseccomp" ;;
esac
