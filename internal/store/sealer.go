package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gabion/gabion/internal/atomicfile"
)

// sealerKeySize is AES-256's.
const sealerKeySize = 32

// Sealer encrypts secrets before they are stored, so that the store, its backups
// and its disk do not hold what signs requests.
type Sealer struct{ aead cipher.AEAD }

// LoadSealer reads the key at path, and makes one if there is no such file.
func LoadSealer(path string) (*Sealer, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, sealerKeySize)
		rand.Read(key) // does not fail
		err = atomicfile.Write(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("load secret key: %w", err)
	}
	if len(key) != sealerKeySize {
		return nil, fmt.Errorf("load secret key %s: it has %d bytes instead of %d: restore it from a backup", path, len(key), sealerKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("load secret key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("load secret key: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// seal encrypts a secret, for the owner of that id alone.
func (s *Sealer) seal(secret, owner string) []byte {
	return s.aead.Seal(nil, nil, []byte(secret), []byte(owner))
}

func (s *Sealer) open(sealed []byte, owner string) (string, error) {
	secret, err := s.aead.Open(nil, nil, sealed, []byte(owner))
	if err != nil {
		return "", fmt.Errorf("open the secret of API key %s: this server's secret key is not the one it was sealed with: copy the secret key file of the server that made it", owner)
	}
	return string(secret), nil
}
