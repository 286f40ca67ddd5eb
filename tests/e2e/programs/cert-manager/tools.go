//go:build tools

// Package certmanager names the newest controller of cert-manager that is in its main module. Later ones are in a module
// that replaces the main one by a folder, which go cannot build from outside.
package certmanager

import _ "github.com/cert-manager/cert-manager/cmd/controller"
