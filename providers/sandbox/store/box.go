package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Box seals values with AES-256-GCM under the key in the store's file "key". It keeps
// values out of searches, backups and accidents, not from someone who reads the key.
type Box struct{ aead cipher.AEAD }

// Box opens the store's box, and makes its key at first.
func (s *Store) Box() (*Box, error) {
	path := filepath.Join(s.dir, "key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		err = WriteFile(path, key)
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sandbox key: %s: %w; reset the sandbox to start afresh", path, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sandbox key: %w", err)
	}
	return &Box{aead}, nil
}

// Seal encrypts value; only [Box.Open] with the same owner opens it.
func (b *Box) Seal(owner, value string) string {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(value)+b.aead.Overhead())
	_, _ = rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(b.aead.Seal(nonce, nonce, []byte(value), []byte(owner)))
}

// Open decrypts what Seal returned for owner.
func (b *Box) Open(owner, sealed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < b.aead.NonceSize() {
		return "", fmt.Errorf("open the value of %s: it is damaged", owner)
	}
	n := b.aead.NonceSize()
	plain, err := b.aead.Open(nil, raw[:n], raw[n:], []byte(owner))
	if err != nil {
		return "", fmt.Errorf("open the value of %s: %w", owner, err)
	}
	return string(plain), nil
}
