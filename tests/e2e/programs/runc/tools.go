//go:build tools

// Package runc names the program that starts a container. It alone needs C: the library for seccomp filters.
package runc

import _ "github.com/opencontainers/runc"
