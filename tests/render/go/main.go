// Command readers opens PKCS#12 files as a Go program does: readers PASSPHRASE_FILE FILE…
// It prints, for each file, the SHA-256 of the key as PKCS#8 and of the leaf, both DER.
package main

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(passphraseFile string, files []string) error {
	passphrase, err := os.ReadFile(passphraseFile)
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		key, leaf, _, err := pkcs12.DecodeChain(content, strings.TrimSuffix(string(passphrase), "\n"))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		encoded, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Printf("%s %x %x\n", file, sha256.Sum256(encoded), sha256.Sum256(leaf.Raw))
	}
	return nil
}
