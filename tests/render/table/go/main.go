// Command readers opens files as a Go program does: readers PASSPHRASE_FILE, and lines of KIND FILE on its
// standard input. What it finds is printed as the other readers print it.
package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

func main() {
	passphrase, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		kind, file, _ := strings.Cut(lines.Text(), " ")
		fmt.Println("file", file)
		found, err := read(kind, file, strings.TrimSuffix(string(passphrase), "\n"))
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Print(strings.Join(found, ""))
	}
}

func read(kind, file, passphrase string) ([]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "pem":
		return readPEM(content)
	case "der":
		leaf, err := x509.ParseCertificate(content)
		if err != nil {
			return nil, err
		}
		return []string{hashed("certificate", leaf.Raw)}, nil
	case "pkcs12":
		return readPKCS12(content, passphrase)
	default:
		return readZIP(content)
	}
}

func readPEM(content []byte) (found []string, err error) {
	certificates, key := 0, false
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			certificates++
			found = append(found, hashed("certificate", certificate.Raw))
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key = true
		if found, err = withKey(found, parsed); err != nil {
			return nil, err
		}
	}
	if certificates > 0 && key {
		// As a server loads both out of one file.
		_, err = tls.X509KeyPair(content, content)
	}
	return found, err
}

func readPKCS12(content []byte, passphrase string) ([]string, error) {
	key, leaf, chain, err := pkcs12.DecodeChain(content, passphrase)
	if err != nil {
		return nil, err
	}
	found := []string{hashed("certificate", leaf.Raw)}
	for _, certificate := range chain {
		found = append(found, hashed("certificate", certificate.Raw))
	}
	return withKey(found, key)
}

func readZIP(content []byte) (found []string, err error) {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	for _, entry := range archive.File {
		opened, err := entry.Open()
		if err != nil {
			return nil, err
		}
		unpacked, err := io.ReadAll(opened)
		if err != nil {
			return nil, err
		}
		found = append(found, hashed("entry "+entry.Name, unpacked))
	}
	return found, nil
}

func withKey(found []string, key any) ([]string, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(found, hashed("key", encoded)), nil
}

func hashed(what string, content []byte) string {
	return fmt.Sprintf("%s %x\n", what, sha256.Sum256(content))
}
